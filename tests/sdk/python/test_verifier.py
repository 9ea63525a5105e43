"""The official classes of each host through the verifier, which authenticates them with
the libraries of the clouds: what is signed or issued passes, and nothing else."""

import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import pathlib
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import anthropic
import boto3
import botocore
import httpx2
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
    get_bearer_token_provider,
)
from clouds import (
    AWS_KEYS,
    AWS_PLATFORM,
    BEDROCK,
    CLOUDS,
    FOUNDRY,
    GOOGLE_CLOUD,
    KEY,
    MANTLE,
    VERTEX,
    listening,
    simulator,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

VERIFIER = pathlib.Path(__file__).parents[2] / "hosts" / "verifier.py"
OF_AWS = [AWS_PLATFORM, MANTLE, BEDROCK]
QUESTION = {"max_tokens": 300, "messages": [{"role": "user", "content": "Is it raining in Oldport?"}]}
LIFETIME = ["--token-lifetime", "1"]

pytestmark = pytest.mark.usefixtures("no_credentials")


@pytest.fixture
def no_credentials(monkeypatch, tmp_path):
    """Nothing of the user's own is found."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in os.environ:
        if name.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_SESSION", "AWS_BEARER", "ANTHROPIC_")):
            monkeypatch.delenv(name)


@contextlib.contextmanager
def verified(host, *flags):
    """The address of a verifier in front of a simulator."""
    with simulator(host) as upstream:
        command = [sys.executable, str(VERIFIER), "--host", host, "--upstream", upstream, *flags]
        with listening(*command) as address:
            yield address


def report(address):
    with urllib.request.urlopen(f"{address}/verifier/report") as answer:
        return json.load(answer)


def counts(cloud, address):
    found = report(address)["hosts"][cloud.name]
    return found["accepted"], found["rejected"]


def ask(client, cloud, **more):
    return client.messages.create(model=cloud.model, **QUESTION, **more)


async def ask_async(cloud, address):
    async with cloud.client(address, sync=False) as client:
        assert await client.messages.create(model=cloud.model, **QUESTION)


class Tampering(httpx2.HTTPTransport):
    """Changes a request after it has been signed."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def handle_request(self, request):
        return super().handle_request(self.change(request))


def changed(request, url=None, body=None, headers=()):
    content = request.read() if body is None else body
    made = httpx2.Request(request.method, url or request.url, headers=request.headers, content=content)
    made.headers.update(headers)
    return made


CHANGES = {
    "body": lambda it: changed(it, body=it.read().replace(b"Oldport", b"Newport")),
    "path": lambda it: changed(it, url=str(it.url).replace("haiku", "sonnet").replace("messages", "messages/x")),
    "query": lambda it: changed(it, url=str(it.url) + "?beta=true"),
    "header": lambda it: changed(it, headers={"content-type": "application/json; charset=utf-8"}),
    "unsigned": lambda it: changed(it, headers={"x-amz-meta-more": "1"}),
    "date": lambda it: changed(it, headers={"x-amz-date": "20200101T000000Z"}),
}


@pytest.mark.parametrize("cloud", OF_AWS, ids=lambda cloud: cloud.name)
def test_a_signature_is_verified(cloud):
    with verified(cloud.name) as address:
        client = cloud.client(address)
        whole = ask(client, cloud)
        with client.messages.stream(model=cloud.model, **QUESTION) as stream:
            assert stream.get_final_message().content[0].text == whole.content[0].text
        asyncio.run(ask_async(cloud, address))
        assert counts(cloud, address) == (3, {})
        for name, change in CHANGES.items():
            with httpx2.Client(transport=Tampering(change)) as http_client:
                with pytest.raises(anthropic.PermissionDeniedError):
                    ask(cloud.client(address, http_client=http_client), cloud)
            assert sum(counts(cloud, address)[1].values()) == 1 + list(CHANGES).index(name), name
        with pytest.raises(anthropic.PermissionDeniedError) as raised:
            ask(cloud.client(address, credentials=AWS_KEYS | {"aws_secret_key": "other"}), cloud)
        assert raised.value.response.headers["x-amzn-errortype"].startswith("InvalidSignatureException:")
        with pytest.raises(anthropic.PermissionDeniedError):
            ask(cloud.client(address, credentials=AWS_KEYS | {"aws_access_key": "AKIAOTHER"}), cloud)
        assert counts(cloud, address) == (3, {"signature": 6, "date": 1, "access_key": 1})


@pytest.mark.parametrize("cloud", OF_AWS, ids=lambda cloud: cloud.name)
def test_a_session_token_is_verified(cloud):
    with verified(cloud.name, "--session-token", "session") as address:
        session = AWS_KEYS | {"aws_session_token": "session"}
        assert ask(cloud.client(address, credentials=session), cloud)
        for wrong in (AWS_KEYS, AWS_KEYS | {"aws_session_token": "other"}):
            with pytest.raises(anthropic.PermissionDeniedError):
                ask(cloud.client(address, credentials=wrong), cloud)
        assert counts(cloud, address) == (1, {"session_token": 2})


def test_an_arn_is_signed_as_it_is_sent():
    with verified(BEDROCK.name) as address:
        model = f"arn:aws:bedrock:eu-west-1:111122223333:inference-profile/{BEDROCK.model}"
        assert BEDROCK.client(address).messages.create(model=model, **QUESTION).content
        assert counts(BEDROCK, address) == (1, {})


def test_the_client_of_aws_itself():
    body = json.dumps({"anthropic_version": "2026-10-21", **QUESTION})
    with verified(BEDROCK.name) as address:
        keys = {"aws_access_key_id": AWS_KEYS["aws_access_key"], "aws_secret_access_key": AWS_KEYS["aws_secret_key"]}
        without_retries = botocore.config.Config(retries={"total_max_attempts": 1})
        client = boto3.client(
            "bedrock-runtime", region_name="eu-west-1", endpoint_url=address, config=without_retries, **keys
        )

        def meet(behaviour):
            def set_header(request, **_):
                del request.headers["x-simulator"]
                request.headers["x-simulator"] = behaviour

            client.meta.events.register_last("before-sign.bedrock-runtime", set_header)

        arn = f"arn:aws:bedrock:eu-west-1:111122223333:inference-profile/{BEDROCK.model}"
        whole = json.load(client.invoke_model(modelId=arn, body=body)["body"])
        answer = client.invoke_model_with_response_stream(modelId=BEDROCK.model, body=body)
        assert answer["contentType"] == "application/json"
        events = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
        text = "".join(event["delta"].get("text", "") for event in events if "delta" in event)
        assert text == whole["content"][0]["text"]
        with pytest.raises(client.exceptions.ValidationException):
            client.invoke_model(modelId="anthropic.other", body=body)
        meet("stream_error=3,502")
        with pytest.raises(botocore.exceptions.EventStreamError, match="modelStreamErrorException"):
            list(client.invoke_model_with_response_stream(modelId=BEDROCK.model, body=body)["body"])
        meet("429")
        with pytest.raises(client.exceptions.ThrottlingException):
            client.invoke_model(modelId=BEDROCK.model, body=body)
        assert counts(BEDROCK, address) == (5, {})


@pytest.mark.parametrize("cloud", [*OF_AWS, FOUNDRY], ids=lambda cloud: cloud.name)
def test_a_key_is_compared(cloud):
    with verified(cloud.name, "--api-key", KEY) as address:
        assert ask(cloud.client(address, credentials={"api_key": KEY}), cloud)
        with pytest.raises(anthropic.APIStatusError) as raised:
            ask(cloud.client(address, credentials={"api_key": "other"}), cloud)
        assert raised.value.status_code == (401 if cloud is FOUNDRY else 403)
        assert counts(cloud, address) == (1, {"key": 1})


# === tokens that expire


def outlive(cloud, address, client):
    """Lets the token of a call expire, after which the client uses another one."""
    sent = []

    def keep(request):
        sent.append(request.headers["authorization"])
        return request

    with httpx2.Client(transport=Tampering(keep)) as http_client:
        client = client.copy(http_client=http_client)
        ask(client, cloud)
        while not is_expired(cloud, address, sent[0]):
            pass
        ask(client, cloud)
    assert sent[0] != sent[-1]
    accepted, rejected = counts(cloud, address)
    assert accepted >= 2
    assert rejected.keys() == {"expired"}


def is_expired(cloud, address, authorization):
    before = counts(cloud, address)[1]
    headers = {"authorization": authorization}
    request = urllib.request.Request(address + cloud.path, data=b"{}", headers=headers)
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(request).close()
    return counts(cloud, address)[1] != before


@pytest.mark.parametrize("cloud", [VERTEX, GOOGLE_CLOUD], ids=lambda cloud: cloud.name)
@pytest.mark.parametrize(
    ("file", "endpoint"),
    [
        ("google-service-account.json", "google_service_account"),
        ("google-external-account.json", "google_sts"),
    ],
)
def test_google_credentials_are_refreshed(cloud, file, endpoint, tmp_path, monkeypatch):
    with verified(cloud.name, *LIFETIME, "--files", str(tmp_path)) as address:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / file))
        outlive(cloud, address, cloud.client(address, credentials={}))
        assert report(address)["tokens_issued"][endpoint] >= 2


IN_GCE = """
import anthropic, sys
with anthropic.AnthropicVertex(base_url=sys.argv[1], project_id="p", region="global", max_retries=0) as client:
    for _ in range(2):
        client.messages.create(model=sys.argv[2], max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
"""


def test_the_metadata_server_of_google_issues_tokens():
    with verified(VERTEX.name, *LIFETIME) as address:
        authority = address.removeprefix("http://")
        # google-auth reads them when it is imported.
        environment = {"GCE_METADATA_HOST": authority, "GCE_METADATA_IP": authority}
        subprocess.run(
            [sys.executable, "-c", IN_GCE, address + VERTEX.path, VERTEX.model],
            check=True,
            env=os.environ | environment,
        )
        assert counts(VERTEX, address) == (2, {})
        assert report(address)["tokens_issued"]["gce_metadata"] >= 2


def test_the_managed_identity_of_azure_is_refreshed(monkeypatch):
    with verified(FOUNDRY.name, *LIFETIME) as address:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", address)
        scope = "https://cognitiveservices.azure.com/.default"
        provider = get_bearer_token_provider(ManagedIdentityCredential(), scope)
        outlive(FOUNDRY, address, FOUNDRY.client(address, credentials={"azure_ad_token_provider": provider}))
        assert report(address)["tokens_issued"]["azure_imds"] >= 2


def certificate(folder):
    """Files with a certificate for 127.0.0.1 and its key; it is its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    pkcs8, open_key = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "tls.crt").write_bytes(made.public_bytes(pem))
    (folder / "tls.key").write_bytes(key.private_bytes(pem, pkcs8, open_key))
    return str(folder / "tls.crt"), str(folder / "tls.key")


def test_entra_exchanges_an_identity_token_and_a_secret(tmp_path):
    cert_file, key_file = certificate(tmp_path)
    # azure-identity requires TLS.
    tls = ["--cert-file", cert_file, "--key-file", key_file]
    with verified(FOUNDRY.name, *LIFETIME, "--files", str(tmp_path), *tls) as address:
        trust = ssl.create_default_context(cafile=cert_file)
        entra = {
            "tenant_id": "tenant",
            "client_id": "00000000-0000-4000-8000-000000000001",
            "authority": address,
            "disable_instance_discovery": True,
            "connection_verify": cert_file,
        }
        for credential in (
            WorkloadIdentityCredential(token_file_path=str(tmp_path / "identity-token"), **entra),
            ClientSecretCredential(client_secret="test-secret", **entra),
        ):
            provider = get_bearer_token_provider(credential, "https://cognitiveservices.azure.com/.default")
            with httpx2.Client(verify=trust) as http_client:
                credentials = {"azure_ad_token_provider": provider}
                client = FOUNDRY.client(address, credentials=credentials, http_client=http_client)
                assert ask(client, FOUNDRY)
        with pytest.raises(ClientAuthenticationError):
            ClientSecretCredential(client_secret="other", **entra).get_token("scope/.default")
        with urllib.request.urlopen(f"{address}/verifier/report", context=trust) as answer:
            report = json.load(answer)
    assert report["hosts"] == {"foundry": {"accepted": 2, "rejected": {}}}
    assert report["tokens_issued"] == {"entra": 2}


def of_role(address, folder):
    return {
        "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/test",
        "AWS_WEB_IDENTITY_TOKEN_FILE": f"{folder}/identity-token",
        "AWS_ENDPOINT_URL_STS": address,
    }


def of_container(address, folder):
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{address}/container-credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{folder}/container-token",
    }


def of_instance(address, _):
    return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": address}


# The class keeps the session of a region.
@pytest.mark.parametrize(
    ("environment", "endpoint", "region"),
    [
        (of_role, "aws_sts", "eu-west-2"),
        (of_container, "aws_container", "eu-west-3"),
        (of_instance, "aws_imds", "eu-north-1"),
    ],
)
def test_credentials_of_aws_are_refreshed(environment, endpoint, region, tmp_path, monkeypatch):
    # botocore refreshes credentials that expire within minutes each time it reads a part
    # of them: only the first do here.
    lifetimes = ["--token-lifetime", "5", "--token-lifetime", "3600"]
    with verified(BEDROCK.name, *lifetimes, "--files", str(tmp_path)) as address:
        for name, value in environment(address, tmp_path).items():
            monkeypatch.setenv(name, value)
        client = BEDROCK.client(address, credentials={"aws_region": region})
        for _ in range(3):
            ask(client, BEDROCK)
        assert counts(BEDROCK, address) == (3, {})
        # It extends the life of those of an instance by itself.
        assert report(address)["tokens_issued"][endpoint] == (1 if endpoint == "aws_imds" else 2)


def test_credentials_of_aws_expire(tmp_path):
    with verified(MANTLE.name, *LIFETIME, "--files", str(tmp_path)) as address:
        authorization = (tmp_path / "container-token").read_text()
        request = urllib.request.Request(f"{address}/container-credentials", headers={"authorization": authorization})
        with urllib.request.urlopen(request) as answer:
            issued = json.load(answer)
        credentials = {
            "aws_access_key": issued["AccessKeyId"],
            "aws_secret_key": issued["SecretAccessKey"],
            "aws_session_token": issued["Token"],
        }
        client = MANTLE.client(address, credentials=credentials)
        assert ask(client, MANTLE)
        with pytest.raises(anthropic.PermissionDeniedError) as raised:
            while True:
                ask(client, MANTLE)
        assert raised.value.response.headers["x-amzn-errortype"].startswith("ExpiredTokenException:")
        assert counts(MANTLE, address)[1] == {"expired": 1}


def test_an_identity_token_is_exchanged_at_the_claude_api(tmp_path, monkeypatch):
    with verified("claude", *LIFETIME, "--files", str(tmp_path)) as address:
        for name, value in {
            "ANTHROPIC_FEDERATION_RULE_ID": "fdrl_1",
            "ANTHROPIC_ORGANIZATION_ID": "00000000-0000-4000-8000-000000000000",
            "ANTHROPIC_IDENTITY_TOKEN_FILE": str(tmp_path / "identity-token"),
        }.items():
            monkeypatch.setenv(name, value)
        client = anthropic.Anthropic(base_url=address, max_retries=0)
        for _ in range(2):
            assert client.messages.create(model="claude-haiku-5-5", **QUESTION)
        assert report(address)["tokens_issued"]["claude_federation"] >= 2
        (tmp_path / "identity-token").write_text("not.a.token")
        with pytest.raises(anthropic.AnthropicError):
            client.messages.create(model="claude-haiku-5-5", **QUESTION)


def test_what_is_not_issued_is_unknown():
    for cloud in CLOUDS:
        if cloud in OF_AWS:
            continue
        with verified(cloud.name) as address:
            credentials = {"azure_ad_token_provider": lambda: "other"} if cloud is FOUNDRY else None
            with pytest.raises(anthropic.AuthenticationError):
                ask(cloud.client(address, credentials=credentials), cloud)
            assert counts(cloud, address) == (0, {"unknown": 1})
