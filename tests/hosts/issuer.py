"""Issues tokens that expire, as the token endpoints of the clouds and of Claude do.

Identity tokens and assertions are JWTs, which google-auth verifies. Their key is made
at the start, and files that clients read are written to a folder: a service account and
an external account of Google, and an identity token of the provider whose key it is.
"""

import base64
import datetime
import json
import os
import secrets
import threading
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

KEY_ID = "test"
EMAIL = "test@project.iam.gserviceaccount.com"
CLIENT_ID = "00000000-0000-4000-8000-000000000001"
CLIENT_SECRET = "test-secret"
AUDIENCE = "test-audience"
GRANT_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GRANT_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION_JWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
ROLE = "/latest/meta-data/iam/security-credentials/"


class Answer(Exception):
    """The answer of an endpoint."""

    def __init__(self, status, body, content_type="application/json", headers=()):
        super().__init__(status)
        self.status, self.headers = status, [("content-type", content_type), *headers]
        self.body = (body if isinstance(body, str) else json.dumps(body)).encode()


class Issuer:
    """What it has issued, and the endpoints by which it does."""

    def __init__(self, lifetimes):
        # Of the first token, the second and so on; the last is that of all others.
        self.lifetimes = list(lifetimes)
        self.lock = threading.Lock()
        # Bearer token → (kind, expiry); access key id → (secret, session token, expiry).
        self.tokens, self.access_keys, self.issued = {}, {}, {}
        # What was asked for, endpoint by endpoint.
        self.asked = {}
        self.imds_tokens = set()
        self.container_token = secrets.token_urlsafe(12)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        self.certificates = {KEY_ID: certificate.public_bytes(serialization.Encoding.PEM)}
        self.private_key = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    # === what it has issued

    def count(self, endpoint):
        """Counts what is issued; returns its lifetime."""
        self.issued[endpoint] = self.issued.get(endpoint, 0) + 1
        return self.lifetimes.pop(0) if len(self.lifetimes) > 1 else self.lifetimes[0]

    def issue(self, kind, endpoint):
        """A token, and its lifetime."""
        token = f"{kind}-{secrets.token_urlsafe(24)}"
        with self.lock:
            lifetime = self.count(endpoint)
            self.tokens[token] = (kind, time.time() + lifetime)
        return token, lifetime

    def issue_access_key(self, endpoint):
        access_key = "ASIA" + secrets.token_hex(8).upper()
        secret, session = secrets.token_urlsafe(30), secrets.token_urlsafe(60)
        with self.lock:
            expiry = time.time() + self.count(endpoint)
            self.access_keys[access_key] = (secret, session, expiry)
        at = datetime.datetime.fromtimestamp(expiry, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return access_key, secret, session, at

    def note(self, endpoint, request):
        with self.lock:
            self.asked.setdefault(endpoint, []).append(request)

    def standing(self, token, kind):
        """`accepted`, `expired` or `unknown`."""
        if kind == "google" and token.count(".") == 2:
            return self.standing_of_service_account(token)
        issued_kind, expiry = self.tokens.get(token, (None, 0))
        if issued_kind != kind:
            return "unknown"
        return "accepted" if time.time() < expiry else "expired"

    def standing_of_service_account(self, token):
        """That of a JWT which the service account has signed itself instead of asking for a token."""
        try:
            claims = self.verified(token, None)
        except ValueError as error:
            return "expired" if "expired" in str(error) else "unknown"
        is_for_us = claims["iss"] == EMAIL and claims.get("scope") == CLOUD_PLATFORM
        return "accepted" if is_for_us else "unknown"

    # === identity tokens

    def identity_token(self, lifetime=3600, **claims):
        now = int(time.time())
        payload = {
            "iss": "https://identity.example.com",
            "sub": "system:serviceaccount:default:test",
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + lifetime,
            **claims,
        }
        signer = crypt.RSASigner.from_string(self.private_key, KEY_ID)
        return jwt.encode(signer, payload).decode()

    def verified(self, token, audience):
        """The claims of a JWT; `ValueError` if google-auth does not accept it."""
        return jwt.decode(token, self.certificates, audience=audience, clock_skew_in_seconds=0)

    def write_files(self, folder, url):
        def write(name, text):
            path = os.path.join(folder, name)
            with open(path, "w", opener=lambda file, flags: os.open(file, flags, 0o600)) as file:
                file.write(text if isinstance(text, str) else json.dumps(text))
            return path

        identity = write("identity-token", self.identity_token())
        write(
            "google-service-account.json",
            {
                "type": "service_account",
                "project_id": "project",
                "private_key_id": KEY_ID,
                "private_key": self.private_key,
                "client_email": EMAIL,
                "client_id": "1",
                "token_uri": f"{url}/token",
                "universe_domain": "googleapis.com",
            },
        )
        write(
            "google-external-account.json",
            {
                "type": "external_account",
                "audience": AUDIENCE,
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": f"{url}/v1/token",
                "credential_source": {"file": identity},
                "universe_domain": "googleapis.com",
            },
        )
        write("container-token", self.container_token)

    # === the endpoints

    def answer(self, method, target, headers, body, url):
        """Raises the `Answer` of a token endpoint; returns for other paths."""
        path, _, query = target.partition("?")
        form = dict(urllib.parse.parse_qsl(body.decode(errors="replace")))
        asked = dict(urllib.parse.parse_qsl(query))
        if path.startswith("/computeMetadata/") or (path == "/" and headers.get("metadata-flavor")):
            raise self.google_metadata(path, asked, headers)
        if (method, path) == ("POST", "/token"):
            # google-auth states the public endpoint, whatever the URL is.
            raise self.google_service_account(form, [f"{url}/token", "https://oauth2.googleapis.com/token"])
        if (method, path) == ("POST", "/v1/token"):
            raise self.google_exchange(form)
        if (method, path) == ("POST", "/v1/oauth/token"):
            raise self.claude(headers, body)
        if path.endswith("/oauth2/v2.0/token"):
            raise self.entra(form, url + path)
        if path.endswith("/v2.0/.well-known/openid-configuration"):
            raise openid_configuration(url, path.split("/")[1])
        if path == "/metadata/identity/oauth2/token":
            raise self.azure_metadata(asked, headers.get("metadata") == "true")
        if path == "/msi/token":
            # Of a managed identity on App Service and Azure Functions.
            raise self.azure_metadata(asked, headers.get("x-identity-header") == CLIENT_SECRET)
        if (method, path) == ("POST", "/") and form.get("Action") == "AssumeRoleWithWebIdentity":
            raise self.assume_role(form)
        if path == "/latest/api/token":
            raise self.imds_token(method, headers)
        if path.startswith("/latest/"):
            raise self.imds(path, headers)
        if path == "/container-credentials":
            raise self.container(headers)

    def bearer(self, kind, endpoint, **more):
        token, lifetime = self.issue(kind, endpoint)
        return Answer(200, {"access_token": token, "expires_in": lifetime, "token_type": "Bearer", **more})

    def google_metadata(self, path, asked, headers):
        flavor = [("metadata-flavor", "Google")]
        if headers.get("metadata-flavor") != "Google":
            return Answer(403, "Missing required header: Metadata-Flavor", "text/plain")
        path = path.replace(f"/service-accounts/{EMAIL}/", "/service-accounts/default/")
        account = path.removeprefix("/computeMetadata/v1/instance/service-accounts/default/")
        if account == "token":
            answer = self.bearer("google", "gce_metadata")
            answer.headers += flavor
            return answer
        if account == "identity":
            token = self.identity_token(aud=asked.get("audience", ""))
            return Answer(200, token, "text/html", flavor)
        if account == "":
            found = {"aliases": ["default"], "email": EMAIL, "scopes": []}
            return Answer(200, found, headers=flavor)
        texts = {
            "/": "computeMetadata/",
            "/computeMetadata/v1/project/project-id": "project",
            "/computeMetadata/v1/universe/universe-domain": "googleapis.com",
            "/computeMetadata/v1/universe/universe_domain": "googleapis.com",
            "/computeMetadata/v1/instance/service-accounts/default/email": EMAIL,
        }
        if path in texts:
            return Answer(200, texts[path], "application/text", flavor)
        return Answer(404, "not found", "text/plain", flavor)

    def google_service_account(self, form, audience):
        try:
            claims = self.verified(form.get("assertion", ""), audience)
        except ValueError as error:
            return Answer(400, {"error": "invalid_grant", "error_description": f"Invalid JWT: {error}"})
        if form.get("grant_type") != GRANT_JWT or claims["iss"] != EMAIL:
            return Answer(400, {"error": "invalid_grant", "error_description": "Invalid grant."})
        return self.bearer("google", "google_service_account")

    def google_exchange(self, form):
        if form.get("grant_type") != GRANT_EXCHANGE or form.get("audience") != AUDIENCE:
            return Answer(400, {"error": "invalid_request", "error_description": "Invalid audience."})
        try:
            self.verified(form.get("subject_token", ""), AUDIENCE)
        except ValueError as error:
            return Answer(400, {"error": "invalid_grant", "error_description": str(error)})
        kind = "urn:ietf:params:oauth:token-type:access_token"
        return self.bearer("google", "google_sts", issued_token_type=kind)

    def claude(self, headers, body):
        def refused(status, error, description):
            return Answer(status, {"error": error, "error_description": description})

        try:
            request = json.loads(body)
        except ValueError:
            return refused(400, "invalid_request", "The body must be JSON.")
        names = ("anthropic-beta", "content-type", "authorization", "x-api-key", "anthropic-workspace-id")
        request_headers = {name: headers[name] for name in names if headers.get(name)}
        self.note("claude_federation", {"headers": request_headers, "body": request})
        required = ("assertion", "federation_rule_id", "organization_id")
        if request.get("grant_type") != GRANT_JWT or not all(request.get(name) for name in required):
            return refused(400, "invalid_request", "A field is missing.")
        try:
            self.verified(request["assertion"], None)
        except ValueError as error:
            return refused(401, "invalid_grant", str(error))
        return self.bearer("claude", "claude_federation")

    def entra(self, form, audience):
        def refused(code, message):
            return Answer(401, {"error": "invalid_client", "error_description": f"{code}: {message}"})

        self.note("entra", {name: form.get(name) for name in ("grant_type", "client_id", "scope")})
        if form.get("grant_type") != "client_credentials" or not form.get("scope", "").endswith("/.default"):
            return Answer(400, {"error": "invalid_request", "error_description": "AADSTS900144: invalid request"})
        if "client_assertion" in form:
            if form.get("client_assertion_type") != ASSERTION_JWT:
                return refused("AADSTS700025", "unknown assertion type")
            try:
                self.verified(form["client_assertion"], [audience, AUDIENCE])
            except ValueError as error:
                return refused("AADSTS700024", str(error))
        elif form.get("client_secret") != CLIENT_SECRET:
            return refused("AADSTS7000215", "Invalid client secret provided.")
        return self.bearer("azure", "entra")

    def azure_metadata(self, asked, is_allowed):
        self.note("azure_identity", asked)
        if not is_allowed:
            missing = "Required metadata header not specified"
            return Answer(400, {"error": "invalid_request", "error_description": missing})
        if not asked.get("resource") or not asked.get("api-version"):
            return Answer(400, {"error": "invalid_request", "error_description": "Required query is missing"})
        token, lifetime = self.issue("azure", "azure_imds")
        return Answer(
            200,
            {
                "access_token": token,
                "expires_in": str(lifetime),
                "expires_on": str(int(time.time()) + lifetime),
                "resource": asked["resource"],
                "token_type": "Bearer",
            },
        )

    def assume_role(self, form):
        def refused(code, message):
            body = (
                '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
                f"<Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            )
            return Answer(400, body, "text/xml")

        try:
            claims = self.verified(form.get("WebIdentityToken", ""), None)
        except ValueError as error:
            text = str(error)
            code = "ExpiredTokenException" if "expired" in text else "InvalidIdentityToken"
            return refused(code, text.replace("<", "before"))
        if not form.get("RoleArn") or not form.get("RoleSessionName"):
            return refused("ValidationError", "RoleArn and RoleSessionName are required")
        access_key, secret, session, expiry = self.issue_access_key("aws_sts")
        return Answer(
            200,
            '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            "<AssumeRoleWithWebIdentityResult><Credentials>"
            f"<AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
            f"<SessionToken>{session}</SessionToken><Expiration>{expiry}</Expiration></Credentials>"
            f"<SubjectFromWebIdentityToken>{claims['sub']}</SubjectFromWebIdentityToken>"
            f"<AssumedRoleUser><Arn>{form['RoleArn']}/session</Arn><AssumedRoleId>AROA:session</AssumedRoleId>"
            "</AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
            "text/xml",
        )

    def imds_token(self, method, headers):
        if method != "PUT" or not headers.get("x-aws-ec2-metadata-token-ttl-seconds"):
            return Answer(400, "Bad Request", "text/plain")
        token = base64.b64encode(secrets.token_bytes(30)).decode()
        self.imds_tokens.add(token)
        ttl = headers["x-aws-ec2-metadata-token-ttl-seconds"]
        return Answer(200, token, "text/plain", [("x-aws-ec2-metadata-token-ttl-seconds", ttl)])

    def imds(self, path, headers):
        if headers.get("x-aws-ec2-metadata-token") not in self.imds_tokens:
            return Answer(401, "Unauthorized", "text/plain")
        if path in (ROLE, ROLE.removesuffix("/")):
            return Answer(200, "role", "text/plain")
        if path != ROLE + "role":
            return Answer(404, "Not Found", "text/plain")
        return Answer(200, self.of_role("aws_imds", Code="Success", Type="AWS-HMAC"), "text/plain")

    def container(self, headers):
        if headers.get("authorization") != self.container_token:
            return Answer(401, {"code": "Unauthorized", "message": "wrong authorization"})
        return Answer(200, self.of_role("aws_container"))

    def of_role(self, endpoint, **more):
        access_key, secret, session, expiry = self.issue_access_key(endpoint)
        found = {"AccessKeyId": access_key, "SecretAccessKey": secret, "Token": session, "Expiration": expiry}
        return json.dumps(found | {"LastUpdated": "2026-01-01T00:00:00Z"} | more)


def openid_configuration(url, tenant):
    base = f"{url}/{tenant}"
    return Answer(
        200,
        {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "issuer": f"{base}/v2.0",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
        },
    )
