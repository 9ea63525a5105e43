// A peer that speaks TLS as Go's standard library does: HTTP/2 with a limit of
// streams, or HTTP/1.1 only. It answers every request with a message, after a
// time, and ends connections in the middle of the traffic.
//
//	api -cert FILE -key FILE [-http1] [-streams 100] [-takes 1s] [-spread 500ms] [-drain-every 20] [-break-every 50]
//
// It prints its address. For each line that it reads, it prints its counts; at
// the end of its input it ends.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

type connectionKey struct{}

// connection is one that was accepted.
type connection struct {
	net.Conn
	streams atomic.Int64
}

type counts struct {
	Requests    atomic.Int64
	Connections atomic.Int64
	Drained     atomic.Int64
	Broken      atomic.Int64
	MostStreams atomic.Int64
}

var (
	takes      = flag.Duration("takes", time.Second, "time from a request to its answer")
	spread     = flag.Duration("spread", 0, "by how much that differs from request to request")
	drainEvery = flag.Int64("drain-every", 0, "drain the connection of every n-th request; 0: never")
	breakEvery = flag.Int64("break-every", 0, "break the connection of every n-th request; 0: never")
	seen       counts
)

func answer(w http.ResponseWriter, r *http.Request) {
	own := r.Context().Value(connectionKey{}).(*connection)
	open := own.streams.Add(1)
	defer own.streams.Add(-1)
	for most := seen.MostStreams.Load(); open > most && !seen.MostStreams.CompareAndSwap(most, open); {
		most = seen.MostStreams.Load()
	}
	var request struct{ Stream bool }
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &request) != nil {
		http.Error(w, "not a request", http.StatusBadRequest)
		return
	}
	number := seen.Requests.Add(1)
	if *breakEvery > 0 && number%*breakEvery == 0 {
		seen.Broken.Add(1)
		own.Close()
		return
	}
	if *drainEvery > 0 && number%*drainEvery == 0 {
		// Over HTTP/2, it is GOAWAY.
		seen.Drained.Add(1)
		w.Header().Set("Connection", "close")
	}
	select {
	case <-time.After(*takes + *spread*time.Duration(number%11-5)/10):
	case <-r.Context().Done():
		return
	}
	if request.Stream {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, stream)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, message)
}

const message = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"answer"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}`

const stream = `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"answer"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1}}

event: message_stop
data: {"type":"message_stop"}

`

func serve() error {
	cert := flag.String("cert", "", "certificate, PEM")
	key := flag.String("key", "", "its key, PEM")
	listen := flag.String("listen", "127.0.0.1:0", "address")
	http1 := flag.Bool("http1", false, "speak HTTP/1.1 only")
	streams := flag.Int("streams", 100, "streams of a connection")
	flag.Parse()
	pair, err := tls.LoadX509KeyPair(*cert, *key)
	if err != nil {
		return err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(!*http1)
	server := &http.Server{
		Handler:   http.HandlerFunc(answer),
		Protocols: &protocols,
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: *streams},
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			seen.Connections.Add(1)
			return context.WithValue(ctx, connectionKey{}, &connection{Conn: c.(*tls.Conn).NetConn()})
		},
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			json.NewEncoder(os.Stdout).Encode(map[string]int64{
				"requests": seen.Requests.Load(), "connections": seen.Connections.Load(),
				"drained": seen.Drained.Load(), "broken": seen.Broken.Load(),
				"most_streams": seen.MostStreams.Load(),
			})
		}
		os.Exit(0)
	}()
	return server.ServeTLS(listener, "", "")
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
