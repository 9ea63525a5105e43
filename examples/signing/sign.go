// Signs a call to claude-grpc. Requires only Go's standard library.
//
//	CLAUDE_GRPC_SIGNING_SECRET=cgs_… go run sign.go PATH KEY_ID < message
//	go run sign.go --check ../../tests/vectors/signature.json
//
// With grpc-go: marshal the request yourself, sign the bytes, and send those
// bytes with grpc.ForceCodec and a codec that passes bytes through.
package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// Signature returns the value of the metadata x-signature. The message is the
// serialized protobuf.
func Signature(secret, keyID, path string, message []byte, at int64, nonce string) string {
	digest := sha256.Sum256(message)
	text := fmt.Sprintf("v1\n%s\n%s\n%d\n%s\n%x", path, keyID, at, nonce, digest)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return fmt.Sprintf("t=%d,n=%s,k=%s,v1=%x", at, nonce, keyID, mac.Sum(nil))
}

func freshNonce() string {
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		fail(err)
	}
	return hex.EncodeToString(nonce)
}

func check(file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		fail(err)
	}
	var vectors []struct {
		Name, Secret, Path, Nonce, Header string
		KeyID                             string `json:"key_id"`
		MessageHex                        string `json:"message_hex"`
		Time                              int64
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		fail(err)
	}
	for _, it := range vectors {
		message, err := hex.DecodeString(it.MessageHex)
		if err != nil {
			fail(err)
		}
		got := Signature(it.Secret, it.KeyID, it.Path, message, it.Time, it.Nonce)
		if got != it.Header {
			fail(fmt.Errorf("%s: got %s, expected %s", it.Name, got, it.Header))
		}
	}
	fmt.Println("all vectors hold")
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: sign PATH KEY_ID < message | --check VECTORS"))
	}
	if os.Args[1] == "--check" {
		check(os.Args[2])
		return
	}
	message, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err)
	}
	secret := os.Getenv("CLAUDE_GRPC_SIGNING_SECRET")
	fmt.Println(Signature(secret, os.Args[2], os.Args[1], message, time.Now().Unix(), freshNonce()))
}
