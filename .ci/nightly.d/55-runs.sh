# Runs of the command line over many documents: how long they take, and many kills of
# the service and the client. Then a document of 100 MB, and the documents of a machine.
# shellcheck shell=bash

need cargo
step "runs over many documents" cargo test --test runs -- --ignored --nocapture
step "fifty kills in one run" env DOCUMENTS=3000 KILLS=50 cargo test --test runs -- --nocapture nothing_is_lost
step "fifty kills of a run with batches" env KILLS=50 cargo test --test runs -- --nocapture no_batch
step "a document of 100 MB" env MEGABYTES=100 cargo test --test runs -- --nocapture held_by_neither_side

# Licences, changelogs, manual pages, READMEs, pages of HTML, and PDFs of manual pages.
machine_documents() {
    local page pdf
    mkdir "$work/pdfs"
    while IFS= read -r page; do
        pdf=$work/pdfs/$(basename "$page" .gz).pdf
        zcat "$page" | groff -k -t -mandoc -Tpdf >"$pdf" 2>/dev/null || rm -f "$pdf"
    done < <(find /usr/share/man/man1 -type f -name '*.gz' -size +2k | sort | head -n 40)
    FOLDERS=$work/pdfs:/usr/share/doc:/usr/share/man:/usr/share/common-licenses \
        FILES=3000 TOTAL_MEGABYTES=200 KILLS=10 \
        cargo test --test runs -- --nocapture documents_of_this_machine
}

# An image may leave out what packages have below these folders.
documentation=(debian-policy git-doc groff linux-doc manpages manpages-dev perl-doc python3-doc)
if packages "${documentation[@]}" && [ -d /usr/share/doc/linux-doc/html ]; then
    step "ten kills in a run over the documents of a machine" machine_documents
else
    skip "documents of a machine" "packages with documentation cannot be installed"
fi
