// Calls with grpc-go: main POLICY ADDRESS
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // Checks the health of the service if the policy says so.
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	method         = "/claude.v1.ClaudeService/ListModels"
	refusedInARow  = 20
	mostChannels   = 2000
	deadline       = 20 * time.Second
	detailsMention = "DRAINING"
)

var names = map[codes.Code]string{
	codes.OK: "OK", codes.Unavailable: "UNAVAILABLE", codes.DeadlineExceeded: "DEADLINE_EXCEEDED",
	codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN", codes.Internal: "INTERNAL",
}

func channel(policy, address string) *grpc.ClientConn {
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if policy != "none" {
		config, err := os.ReadFile(policy)
		if err != nil {
			log.Fatal(err)
		}
		options = append(options, grpc.WithDefaultServiceConfig(string(config)))
	}
	conn, err := grpc.NewClient(address, options...)
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

// call prints a call; returns whether it was refused.
func call(conn *grpc.ClientConn, age string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	began := time.Now()
	// The answer is left in the unknown fields of an empty message.
	err := conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{})
	refusal := status.Convert(err)
	reason := "-"
	for _, detail := range refusal.Proto().GetDetails() {
		if bytes.Contains(detail.Value, []byte(detailsMention)) {
			reason = detailsMention
		}
	}
	name, known := names[refusal.Code()]
	if !known {
		name = refusal.Code().String()
	}
	fmt.Println(age, name, reason, time.Since(began).Milliseconds())
	return err != nil
}

func main() {
	policy, address := os.Args[1], os.Args[2]
	old := channel(policy, address)
	for refused, channels := 0, 0; refused < refusedInARow && channels < mostChannels; channels++ {
		call(old, "old")
		conn := channel(policy, address)
		first, second := call(conn, "new"), call(conn, "new")
		refused++
		if !first || !second {
			refused = 0
		}
		conn.Close()
	}
}
