"""Message Batches and files of the simulator as the official Python SDK sees them."""

import os
import time

import anthropic
import pytest

PARAMS = {
    "model": "claude-haiku-5-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Describe the harbour of Oldport."}],
}

# How long a batch of the simulator can take, in seconds.
PATIENCE = 60


def connected(key):
    return anthropic.Anthropic(base_url=os.environ["SIMULATOR_URL"], api_key=key, max_retries=0)


@pytest.fixture
def client():
    with connected("one") as client:
        yield client


@pytest.fixture
def stranger():
    with connected("another") as client:
        yield client


@pytest.fixture(params=["stable", "beta"])
def batches(request, client):
    return client.messages.batches if request.param == "stable" else client.beta.messages.batches


@pytest.fixture(params=["stable", "beta"])
def files(request, client):
    return client.files if request.param == "stable" else client.beta.files


def requests(*names, **more):
    return [{"custom_id": name, "params": PARAMS | more} for name in names]


def ended(batches, batch):
    deadline = time.monotonic() + PATIENCE
    while batch.processing_status != "ended":
        assert time.monotonic() < deadline, batch
        time.sleep(0.05)
        batch = batches.retrieve(batch.id)
    return batch


def test_a_batch_from_its_creation_to_its_deletion(batches):
    wrong = requests("wrong", model="claude-nothing")
    batch = batches.create(requests=requests("right", "too") + wrong)
    assert batch.processing_status == "in_progress"
    assert batch.request_counts.processing == 3
    assert batch.results_url is None
    assert batches.list(limit=1).data[0].id == batch.id
    with pytest.raises(anthropic.BadRequestError):
        batches.delete(batch.id)

    batch = ended(batches, batch)
    assert (batch.request_counts.succeeded, batch.request_counts.errored) == (2, 1)
    assert batch.created_at <= batch.ended_at < batch.expires_at
    results = {line.custom_id: line.result for line in batches.results(batch.id)}
    assert results["right"].message.content[0].text.startswith("[simulated] ")
    assert results["right"].message.usage.service_tier == "batch"
    assert results["too"].type == "succeeded"
    assert results["wrong"].error.error.type == "not_found_error"

    assert batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        batches.retrieve(batch.id)


def test_a_canceled_batch(batches):
    batch = batches.cancel(batches.create(requests=requests("a", "b")).id)
    assert batch.cancel_initiated_at is not None
    assert batch.processing_status == "canceling"
    batch = ended(batches, batch)
    kinds = sorted(line.result.type for line in batches.results(batch.id))
    counts = batch.request_counts
    assert kinds == ["canceled"] * counts.canceled + ["succeeded"] * counts.succeeded
    assert counts.canceled > 0


def test_all_batches_are_listed(batches):
    created = {batches.create(requests=requests("a")).id for _ in range(3)}
    listed = [batch.id for batch in batches.list(limit=2)]
    assert created < set(listed)
    assert len(listed) == len(set(listed))


def test_a_batch_of_another_key(batches, stranger):
    batch = ended(batches, batches.create(requests=requests("a")))
    theirs = stranger.messages.batches
    for call in (theirs.retrieve, theirs.cancel, theirs.delete, theirs.results):
        with pytest.raises(anthropic.NotFoundError):
            call(batch.id)
    assert batch.id not in [other.id for other in theirs.list()]
    assert batches.retrieve(batch.id) == batch


def test_a_file_from_its_upload_to_its_deletion(files):
    content = b"The harbour of Oldport.\r\n--not an edge\r\n"
    file = files.upload(file=("notes/oldport.txt", content, "text/plain"), expires_in_seconds=3600)
    assert (file.filename, file.mime_type) == ("oldport.txt", "text/plain")
    assert file.size_bytes == len(content)
    assert (file.expires_at - file.created_at).total_seconds() == 3600
    assert files.retrieve_metadata(file.id) == file
    assert file.id in [listed.id for listed in files.list(limit=1)]
    assert [listed.id for listed in files.list(ids=[file.id, "file_nothing"])] == [file.id]
    with pytest.raises(anthropic.BadRequestError) as refused:
        files.download(file.id)
    assert refused.value.body["error"]["details"]["error_code"] == "file_not_downloadable"
    assert files.delete(file.id).type == "file_deleted"
    with pytest.raises(anthropic.NotFoundError):
        files.retrieve_metadata(file.id)


def test_a_file_of_a_tool_is_downloaded(files):
    assert files.retrieve_metadata("file_id").downloadable
    assert files.download("file_id").read() == b"What a tool has written."


def test_a_file_of_another_key(files, stranger):
    file = files.upload(file=b"secret")
    for call in (stranger.files.retrieve_metadata, stranger.files.download, stranger.files.delete):
        with pytest.raises(anthropic.NotFoundError):
            call(file.id)
    assert file.id not in [other.id for other in stranger.files.list()]
    assert files.delete(file.id).id == file.id
