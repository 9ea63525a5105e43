#!/usr/bin/env python3
"""Gets credentials with the official libraries, for comparison with what the service does.

    official.py federation URL IDENTITY_TOKEN_FILE     makes a call with the SDK of the Claude API
    official.py entra URL CLIENT_SECRET                gets the token that the SDK of Foundry asks for
"""

import sys

import anthropic


def federation(url, file):
    from anthropic.lib.credentials import IdentityTokenFile, WorkloadIdentityCredentials

    credentials = WorkloadIdentityCredentials(
        identity_token_provider=IdentityTokenFile(file),
        federation_rule_id="fdrl_1",
        organization_id="00000000-0000-4000-8000-000000000001",
        service_account_id="svac_1",
        workspace_id="wrkspc_1",
    )
    with anthropic.Anthropic(base_url=url, credentials=credentials) as client:
        message = {"role": "user", "content": "Hello"}
        client.messages.create(model="claude-haiku-4-5", max_tokens=64, messages=[message])


def entra(url, secret):
    from azure.identity import ClientSecretCredential

    tenant = client = "00000000-0000-4000-8000-000000000001"
    credential = ClientSecretCredential(
        tenant, client, secret, authority=url, disable_instance_discovery=True
    )
    credential.get_token("https://ai.azure.com/.default")


{"federation": federation, "entra": entra}[sys.argv[1]](*sys.argv[2:])
