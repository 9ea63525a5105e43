# Web pages of other origins in Chromium, also with the client certificate of their
# visitor: nothing that they send runs.
# shellcheck shell=bash

# One test at a time: each has a browser of its own.
pages() {
    cargo test --test browser -- --ignored --test-threads 1
}

if packages chromium chromium-driver libnss3-tools openssl; then
    step "foreign web pages in a browser" pages
else
    skip "foreign web pages in a browser" "chromium, chromedriver or certutil is missing, and apt is not available to install it"
fi
