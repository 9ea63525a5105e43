"""Verifies signatures of AWS (Signature Version 4) with botocore: the request as it
arrived is signed again, and must give the same signature."""

import datetime
import hashlib
import hmac

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

# The difference that AWS allows between the date of a request and now.
MAX_SKEW = datetime.timedelta(minutes=5)


class Refused(Exception):
    """Why a request is not authenticated, and how AWS names it."""

    def __init__(self, reason, exception, message):
        super().__init__(reason)
        self.reason, self.exception, self.message = reason, exception, message


class ReceivedAuth(SigV4Auth):
    """Signs the headers that the client says it has signed, and no others."""

    def __init__(self, credentials, service, region, signed):
        super().__init__(credentials, service, region)
        self.signed = signed

    def headers_to_sign(self, request):
        headers = HTTPHeaders()
        for name in self.signed:
            for value in request.headers.get_all(name, []):
                headers[name] = value
        return headers


def mismatch(what):
    return Refused(
        "signature",
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
        f"Access Key and signing method. Consult the service documentation for details. ({what})",
    )


def read(authorization):
    """The parts of the header `Authorization`."""
    kind, _, rest = authorization.partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if kind != "AWS4-HMAC-SHA256" or not {"Credential", "SignedHeaders", "Signature"} <= parts.keys():
        raise Refused("form", "IncompleteSignatureException", "Authorization header is incomplete.")
    return parts["Credential"].split("/"), parts["SignedHeaders"].split(";"), parts["Signature"]


def verify(method, url, headers, body, service, credentials_of):
    """The access key id of a request that is signed for a service.

    `headers` are those received, as pairs. `credentials_of` returns the secret and the
    session token of an access key id, `None` if there is none, and raises `Refused` if
    they have expired.
    """
    received = HTTPHeaders()
    for name, value in headers:
        # The standard library reads them as Latin-1.
        received[name.lower()] = value.encode("latin-1").decode(errors="replace")
    scope, signed, signature = read(received["authorization"])
    if len(scope) != 5 or scope[4] != "aws4_request":
        raise mismatch("scope")
    access_key, day, region, scoped_service, _ = scope
    if scoped_service != service:
        raise Refused(
            "service",
            "InvalidSignatureException",
            f"Credential should be scoped to correct service: '{service}'.",
        )
    known = credentials_of(access_key)
    if known is None:
        raise Refused(
            "access_key",
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        )
    secret, session_token = known
    if received.get("x-amz-security-token") != session_token:
        raise Refused(
            "session_token",
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        )
    # AWS requires that these are signed.
    required = {"host", "x-amz-date"} | {name.lower() for name in received.keys() if name.lower().startswith("x-amz-")}
    if not required <= set(signed) or any(name not in received for name in signed):
        raise mismatch("signed headers")
    timestamp = received["x-amz-date"]
    try:
        sent = datetime.datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        raise mismatch("date") from None
    if timestamp[:8] != day or abs(datetime.datetime.now(datetime.timezone.utc) - sent) > MAX_SKEW:
        message = f"Signature expired: {timestamp} is now earlier than allowed"
        raise Refused("date", "InvalidSignatureException", message)
    if not received.get("x-amz-content-sha256", digest(body)) == digest(body):
        raise mismatch("body")
    request = AWSRequest(method=method, url=url, data=body, headers=received)
    request.context["timestamp"] = timestamp
    auth = ReceivedAuth(Credentials(access_key, secret, session_token), service, region, signed)
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    if not hmac.compare_digest(expected, signature):
        raise mismatch("signature")
    return access_key


def digest(body):
    return hashlib.sha256(body).hexdigest()
