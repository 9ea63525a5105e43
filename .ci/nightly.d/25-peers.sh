# The service at its defaults against servers that others wrote, which limit
# streams and drain connections (Go's and nginx), and through proxies that others
# wrote (goproxy and go-socks5).
# shellcheck shell=bash

# One test at a time: they compare durations.
peers() {
    cargo test --test peers -- --ignored --test-threads 1 "$@"
}

need go
if packages nginx-light; then
    step "HTTP/2 of Go and nginx, proxies" peers
else
    step "HTTP/2 of Go, proxies" peers --skip nginx
    skip "HTTP/2 of nginx" "nginx is missing, and apt is not available to install it"
fi
