"""Bodies that pass as they are, for what is signed byte by byte, and documents that are no JSON."""

import pytest
from google.api.httpbody_pb2 import HttpBody

from tests.contract.gateway.serving import Canned, serving

SIGNED = b'{ "type":"email.sent",  "odd": 1, "odd": 2 }\n'


async def test_a_body_passes_byte_for_byte_with_its_headers(gateway):
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Svix-Id": "msg_1",
        "Svix-Signature": "v1,abc v1,def",
        "Authorization": "Basic cHE6c2VjcmV0",
    }
    response = await gateway.ask("POST", "/v1/providers/resend/events", headers, SIGNED)
    assert response.status == 200, response.body
    [(rpc, request, metadata)] = gateway.canned.calls
    assert (rpc, request.provider) == ("ReceiveEvents", "resend")
    assert request.body.data == SIGNED
    assert request.body.content_type == "application/json; charset=utf-8"
    assert request.headers["svix-id"] == "msg_1"
    assert request.headers["svix-signature"] == "v1,abc v1,def"
    assert request.headers["authorization"] == "Basic cHE6c2VjcmV0"
    assert request.client_address == "127.0.0.1"
    assert "authorization" not in metadata


@pytest.mark.parametrize("name", ["headers", "clientAddress", "client_address", "body"])
async def test_what_the_gateway_fills_cannot_be_asked_for(gateway, name):
    target = f"/v1/providers/postmark/events?{name}=10.0.0.1"
    response = await gateway.ask("POST", target, {"Content-Type": "application/json"}, SIGNED)
    assert response.status == 400
    assert not gateway.canned.calls


async def test_where_a_token_is_needed_it_is_still_needed(gateway):
    bounce = b"Return-Path: <>\r\n\r\nno such user"
    headers = {"Content-Type": "message/rfc822"}
    refused = await gateway.ask("POST", "/v1/providers/raw/bounces", headers, bounce)
    assert refused.status == 401
    headers["Authorization"] = "Bearer ingest"
    response = await gateway.ask("POST", "/v1/providers/raw/bounces", headers, bounce)
    assert response.status == 200, response.body
    assert gateway.canned.calls[-1][1].body.data == bounce


async def test_a_key_goes_where_it_is_taken_and_hinders_nobody_else(gateway):
    headers = {"Authorization": "Bearer admin", "Idempotency-Key": "k"}
    response = await gateway.ask("POST", "/v1/suppressions:import", headers, b"email\n")
    assert response.status == 200, response.body
    assert gateway.canned.calls[-1][1].request_id == "k"
    response = await gateway.ask("POST", "/v1/providers/ses/events", headers, SIGNED)
    assert response.status == 200, response.body


async def test_a_body_that_is_too_large_is_refused():
    async with serving(max_body=100) as gateway:
        response = await gateway.ask("POST", "/v1/providers/ses/events", {}, b"x" * 101)
        assert response.status == 413
        assert not gateway.canned.calls


async def test_a_document_keeps_its_type_and_is_never_kept():
    async def page(_request, _metadata):
        return HttpBody(content_type="text/html; charset=utf-8", data=b"<p>hello</p>")

    async with serving(Canned({"GetConfirmationPage": page})) as gateway:
        for _ in range(2):
            response = await gateway.ask("GET", "/v1/confirmations/abc", {"Accept": "text/html"})
            assert response.status == 200
            assert response.body == b"<p>hello</p>"
            assert response.header("content-type") == "text/html; charset=utf-8"
            assert response.header("cache-control") == "no-store"
            assert response.header("referrer-policy") == "no-referrer"
            assert "default-src 'none'" in response.header("content-security-policy")
        assert [call[1].token for call in gateway.canned.calls] == ["abc", "abc"]


async def test_one_click_is_a_form_without_a_token(gateway):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"List-Unsubscribe=One-Click"
    response = await gateway.ask("POST", "/v1/unsubscriptions/abc", headers, body)
    assert response.status == 200, response.body
    [(_, request, _)] = gateway.canned.calls
    assert (request.token, request.form.data) == ("abc", body)
    assert "callbacks" in response.header("ratelimit-policy")
