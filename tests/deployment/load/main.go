// A caller with deploy/service-config.json, as grpc-go takes it: unary calls at
// a steady rate and streams that are always open. It counts how they end, and
// on which replica.
//
//	load -config FILE -addresses A,B -seconds 10 -rate 200 -streams 20 [-bytes 34] [-dead A]
//
// Without -dead, any failed call makes the exit code 1. With it, streams may
// fail that this replica had begun to answer, and nothing else: calls that had
// no answer yet are for the client's retries.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // Follows healthCheckConfig.
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of claude/v1/generate.proto that this needs.
const (
	messages     = 2
	role         = 1
	text         = 2
	userRole     = 1
	innerRequest = 1
	finished     = 9
)

const service = "/claude.v1.ClaudeService/"

// raw passes messages as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (raw) Name() string { return "proto" }

func field(into []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(into, number, protowire.BytesType), value)
}

func request(prompt string) []byte {
	message := protowire.AppendTag(nil, role, protowire.VarintType)
	message = protowire.AppendVarint(message, userRole)
	message = field(message, text, []byte(prompt))
	return field(nil, messages, message)
}

// tally counts outcomes by name.
type tally struct {
	mutex  sync.Mutex
	counts map[string]int
}

func (t *tally) add(what string) {
	t.mutex.Lock()
	t.counts[what]++
	t.mutex.Unlock()
}

func (t *tally) String() string {
	var lines []string
	for what, count := range t.counts {
		lines = append(lines, fmt.Sprintf("%s %d", what, count))
	}
	sort.Strings(lines)
	return strings.Join(lines, ", ")
}

// attempts counts what goes over the wire, retries included.
type attempts struct{ begun, transparent atomic.Int64 }

func (*attempts) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*attempts) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*attempts) HandleConn(context.Context, stats.ConnStats)                       {}
func (a *attempts) HandleRPC(ctx context.Context, it stats.RPCStats) {
	if begin, ok := it.(*stats.Begin); ok {
		a.begun.Add(1)
		if begin.IsTransparentRetryAttempt {
			a.transparent.Add(1)
		}
	}
}

type caller struct {
	connection *grpc.ClientConn
	ask        []byte
	dead       string
	outcomes   tally
	misses     tally
	begun      atomic.Int64
}

// settle notes how a call ended. `header` is what had come when it failed.
func (c *caller) settle(kind string, err error, header metadata.MD, at *peer.Peer) {
	if err == nil {
		c.outcomes.add(kind + " ok")
		return
	}
	answered := len(header) > 0
	replica := ""
	if through := header.Get("x-replica"); len(through) > 0 {
		replica = through[0]
	} else if at != nil && at.Addr != nil {
		replica = at.Addr.String()
	}
	what := fmt.Sprintf("%s failed %s", kind, status.Code(err))
	if kind == "stream" && answered && c.dead != "" && replica == c.dead {
		c.outcomes.add(what + " (begun on the killed replica)")
		return
	}
	c.outcomes.add(what)
	c.misses.add(fmt.Sprintf("%s on %q, answered %v: %s", what, replica, answered, status.Convert(err).Message()))
}

func (c *caller) unary() {
	c.begun.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var header metadata.MD
	var at peer.Peer
	ask, answer := c.ask, []byte(nil)
	err := c.connection.Invoke(ctx, service+"Generate", &ask, &answer, grpc.Header(&header), grpc.Peer(&at))
	if err == nil && len(answer) == 0 {
		err = fmt.Errorf("an empty answer")
	}
	c.settle("unary", err, header, &at)
}

func (c *caller) stream() {
	c.begun.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var at peer.Peer
	description := &grpc.StreamDesc{ServerStreams: true}
	stream, err := c.connection.NewStream(ctx, description, service+"GenerateStream", grpc.Peer(&at))
	var header metadata.MD
	if err == nil {
		ask := field(nil, innerRequest, request(strings.Repeat("Name the rivers of Germany and where they rise. ", 12)))
		header, err = receive(stream, &ask)
	}
	c.settle("stream", err, header, &at)
}

// receive reads to the end. An end without `finished` is a failure.
func receive(stream grpc.ClientStream, ask *[]byte) (metadata.MD, error) {
	if err := stream.SendMsg(ask); err != nil && err.Error() != "EOF" {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	whole := false
	for {
		var event []byte
		err := stream.RecvMsg(&event)
		if err != nil {
			header, _ := stream.Header()
			if err.Error() == "EOF" {
				err = nil
				if !whole {
					err = fmt.Errorf("OK without the end of the answer")
				}
			}
			return header, err
		}
		number, _, _ := protowire.ConsumeTag(event)
		whole = whole || number == finished
	}
}

func main() {
	config := flag.String("config", "", "service config")
	addresses := flag.String("addresses", "", "where to call, with commas")
	duration := flag.Int("seconds", 10, "how long")
	rate := flag.Int("rate", 200, "unary calls a second")
	streams := flag.Int("streams", 20, "open streams")
	bytes := flag.Int("bytes", 34, "size of the prompts of unary calls")
	dead := flag.String("dead", "", "the replica that is killed meanwhile")
	flag.Parse()

	text, err := os.ReadFile(*config)
	if err != nil {
		panic(err)
	}
	// As DNS gives the addresses of a headless service.
	found := manual.NewBuilderWithScheme("replicas")
	var state resolver.State
	for _, address := range strings.Split(*addresses, ",") {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	found.InitialState(state)
	sent := &attempts{}
	connection, err := grpc.NewClient(found.Scheme()+":///claude-grpc",
		grpc.WithResolvers(found),
		grpc.WithDefaultServiceConfig(string(text)),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})),
		grpc.WithStatsHandler(sent))
	if err != nil {
		panic(err)
	}
	it := &caller{connection: connection, dead: *dead,
		ask:      request(strings.Repeat("Which rivers flow through Germany? ", 1+*bytes/35)),
		outcomes: tally{counts: map[string]int{}}, misses: tally{counts: map[string]int{}}}

	end := time.Now().Add(time.Duration(*duration) * time.Second)
	var running sync.WaitGroup
	for range *streams {
		running.Go(func() {
			for time.Now().Before(end) {
				it.stream()
			}
		})
	}
	ticks := time.NewTicker(time.Second / time.Duration(max(*rate, 1)))
	fmt.Println("calling")
	for now := range ticks.C {
		if now.After(end) {
			break
		}
		running.Go(it.unary)
	}
	running.Wait()

	again := sent.begun.Load() - it.begun.Load() - sent.transparent.Load()
	fmt.Printf("%d calls: %s; retries %d, transparent retries %d\n",
		it.begun.Load(), &it.outcomes, again, sent.transparent.Load())
	if len(it.misses.counts) > 0 {
		fmt.Println("misses:", &it.misses)
		os.Exit(1)
	}
	if it.begun.Load() < int64(*rate**duration*8/10) {
		fmt.Println("misses: fewer calls than the rate asks for")
		os.Exit(1)
	}
}
