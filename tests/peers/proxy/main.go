// Proxies as others wrote them: goproxy for HTTP and HTTPS, go-socks5 for SOCKS.
// All tunnels end at one address, whatever they are asked for.
//
//	proxy -kind http|https|socks5 -to ADDRESS [-user NAME -password WORD] [-status 403] [-cert FILE -key FILE]
//
// It prints its address, and then what it is asked for. At the end of its input
// it ends. With -which URL, it only prints the proxy that Go's standard library
// uses for this URL, according to the environment.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/armon/go-socks5"
	"github.com/elazarl/goproxy"
)

var (
	kind     = flag.String("kind", "http", "http, https or socks5")
	to       = flag.String("to", "", "where all tunnels end")
	user     = flag.String("user", "", "user name that is asked for")
	password = flag.String("password", "", "password that is asked for")
	status   = flag.Int("status", 0, "status with which every tunnel is rejected")
	listen   = flag.String("listen", "127.0.0.1:0", "address")
	cert     = flag.String("cert", "", "certificate, PEM")
	key      = flag.String("key", "", "its key, PEM")
	which    = flag.String("which", "", "URL")
)

func dial() (net.Conn, error) {
	return net.Dial("tcp", *to)
}

func viaHTTP() http.Handler {
	proxy := goproxy.NewProxyHttpServer()
	proxy.Logger = log.New(io.Discard, "", 0)
	proxy.ConnectDial = func(_, _ string) (net.Conn, error) { return dial() }
	expected := "Basic " + base64.StdEncoding.EncodeToString([]byte(*user+":"+*password))
	tunnel := func(host string, ctx *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
		refuse := *status
		if *user != "" && ctx.Req.Header.Get("Proxy-Authorization") != expected {
			refuse = http.StatusProxyAuthRequired
		}
		if refuse == 0 {
			fmt.Println(host)
			return goproxy.OkConnect, host
		}
		ctx.Resp = goproxy.NewResponse(ctx.Req, "text/html", refuse, "<html>not here</html>")
		ctx.Resp.Header.Set("Proxy-Authenticate", "Basic")
		return goproxy.RejectConnect, host
	}
	proxy.OnRequest().HandleConnectFunc(tunnel)
	return proxy
}

// oneAddress resolves every name, and dials one address.
type oneAddress struct{}

func (oneAddress) Resolve(ctx context.Context, name string) (context.Context, net.IP, error) {
	return ctx, net.IPv4(127, 0, 0, 1), nil
}

func (oneAddress) Rewrite(ctx context.Context, request *socks5.Request) (context.Context, *socks5.AddrSpec) {
	asked := request.DestAddr
	host := asked.FQDN
	if host == "" {
		host = asked.IP.String()
	}
	fmt.Println(net.JoinHostPort(host, fmt.Sprint(asked.Port)))
	return ctx, asked
}

func viaSocks(listener net.Listener) error {
	config := &socks5.Config{
		Resolver: oneAddress{},
		Rewriter: oneAddress{},
		Logger:   log.New(io.Discard, "", 0),
		Dial:     func(context.Context, string, string) (net.Conn, error) { return dial() },
	}
	if *user != "" {
		config.Credentials = socks5.StaticCredentials{*user: *password}
	}
	server, err := socks5.New(config)
	if err != nil {
		return err
	}
	return server.Serve(listener)
}

func run() error {
	flag.Parse()
	if *which != "" {
		request, err := http.NewRequest("GET", *which, nil)
		if err != nil {
			return err
		}
		used, err := http.ProxyFromEnvironment(request)
		if used != nil {
			fmt.Println(used)
		}
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	switch *kind {
	case "http":
		return http.Serve(listener, viaHTTP())
	case "https":
		return http.ServeTLS(listener, viaHTTP(), *cert, *key)
	case "socks5":
		return viaSocks(listener)
	}
	return errors.New("unknown kind")
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
