"""Each answer of a provider or mail server has one stable code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.delivery.domain import email_answers as answers
from services.delivery.domain.bounces import Bounce, Reason
from services.delivery.domain.email_codes import CODES, Kind, of_bounce, of_provider, of_reply
from services.delivery.domain.email_provider_answers import PROVIDERS


def test_the_codes_that_others_rely_on() -> None:
    assert CODES["email_provider_rate_limited"].kind is Kind.RATE
    assert CODES["email_invalid_recipient"].kind is Kind.PERMANENT
    assert CODES["email_invalid_recipient"].hard


def test_every_row_of_every_table_names_a_code() -> None:
    named = {code for pair in answers.REASONS.values() for code in pair}
    named |= {*answers.REPLIES.values(), *answers.HTTP.values()}
    named |= {*answers.SUBMISSION_REPLIES.values(), *answers.SUBMISSION_STATUSES.values()}
    named |= {answer.code for rows in PROVIDERS.values() for answer in rows}
    assert named <= set(CODES)
    assert set(answers.REASONS) == set(Reason)
    assert len(CODES) == len(answers.CODES), "a name is there twice"


@pytest.mark.parametrize(
    ("provider", "status", "body", "code"),
    [
        (
            "resend",
            429,
            b'{"statusCode":429,"name":"rate_limit_exceeded","message":"slow down"}',
            "email_provider_rate_limited",
        ),
        (
            "resend",
            429,
            {"name": "daily_quota_exceeded", "message": "x"},
            "email_provider_quota_exceeded",
        ),
        (
            "resend",
            422,
            {"name": "validation_error", "message": "Invalid `to` field."},
            "email_invalid_recipient",
        ),
        (
            "resend",
            403,
            {"name": "validation_error", "message": "The shop.test domain is not verified."},
            "email_sender_not_verified",
        ),
        (
            "resend",
            403,
            {"name": "validation_error", "message": "You can only send testing emails to yours"},
            "email_account_sandboxed",
        ),
        ("resend", 409, {"name": "concurrent_idempotent_requests"}, "email_request_in_flight"),
        ("resend", 409, {"name": "invalid_idempotent_request"}, "email_idempotency_conflict"),
        ("resend", 500, {"name": "application_error"}, "email_provider_unavailable"),
        ("resend", 451, {"name": "security_error"}, "email_policy_rejected"),
        ("resend", 502, b"<html>Bad gateway</html>", "email_provider_unavailable"),
        (
            "sendgrid",
            400,
            {
                "errors": [
                    {
                        "message": "Does not contain a valid address.",
                        "field": "personalizations.0.to.0.email",
                    }
                ]
            },
            "email_invalid_recipient",
        ),
        (
            "sendgrid",
            401,
            {"errors": [{"message": "Maximum credits exceeded", "field": None}]},
            "email_provider_quota_exceeded",
        ),
        (
            "sendgrid",
            400,
            {"errors": [{"message": "The subject is required.", "field": "subject"}]},
            "email_request_invalid",
        ),
        ("postmark", 422, {"ErrorCode": 406, "Message": "Gone"}, "email_recipient_suppressed"),
        (
            "postmark",
            422,
            {"ErrorCode": 300, "Message": "Invalid 'To' address: 'x'."},
            "email_invalid_recipient",
        ),
        ("postmark", 401, {"ErrorCode": 10, "Message": "no"}, "email_credentials_invalid"),
        (
            "ses",
            400,
            b"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>",
            "email_provider_rate_limited",
        ),
        (
            "ses",
            400,
            {"__type": "com.amazonaws#MessageRejected", "message": "Email address is not verified"},
            "email_sender_not_verified",
        ),
        ("ses", 429, {"__type": "TooManyRequestsException"}, "email_provider_rate_limited"),
        ("somebody", 429, b"", "email_provider_rate_limited"),
        ("somebody", 418, b"\xff{", "email_request_refused"),
        ("somebody", 302, b"", "email_unexpected_reply"),
    ],
)
def test_a_providers_answer(provider: str, status: int, body: object, code: str) -> None:
    found = of_provider(provider, status, body)  # type: ignore[arg-type]
    assert found.code is CODES[code]
    assert found.reply_code == status


@pytest.mark.parametrize(
    ("reply", "status", "text", "code"),
    [
        (550, None, "5.1.1 <nobody@shop.test>: user unknown", "email_invalid_recipient"),
        (550, "5.1.1", "no", "email_invalid_recipient"),
        (450, None, "4.1.1 unverified address: user unknown", "email_recipient_deferred"),
        (552, None, "5.2.2 mailbox full", "email_mailbox_full"),
        (535, None, "5.7.8 bad login", "email_credentials_invalid"),
        (530, None, "5.7.0 Must issue a STARTTLS command first", "email_encryption_required"),
        (530, None, "5.7.0 Authentication Required", "email_credentials_missing"),
        (421, None, "see you", "email_receiver_unavailable"),
        (451, None, "hm", "email_receiver_error"),
        (550, None, "hm", "email_permanent_failure"),
        (499, None, "", "email_temporary_failure"),
        (250, None, "2.1.5 ok", "email_unexpected_reply"),
        (0, None, "", "email_unexpected_reply"),
    ],
)
def test_an_smtp_reply(reply: int, status: str | None, text: str, code: str) -> None:
    assert of_reply(reply, status, text).code is CODES[code]


def test_a_bounce_has_a_code_for_good_or_for_now() -> None:
    bounce = Bounce("a@shop.test", "5.0.910", "550", Reason.FILTERED, hard=False, diagnostic="")
    assert of_bounce(bounce) is CODES["email_recipient_refuses"]
    assert of_bounce(replace(bounce, status="4.2.0")) is CODES["email_recipient_deferred"]


def test_a_long_answer_is_cut_and_a_strange_one_raises_nothing() -> None:
    found = of_reply(550, None, "5.7.1 no\n" * 100_000)
    assert len(found.text) <= 500
    assert found.status == "5.7.1"
    for body in (b"[" * 100_000, b"null", b"[1]", b'{"errors":[1,{"message":2}]}', b"\x00"):
        assert of_provider("sendgrid", 400, body).code is CODES["email_request_invalid"]
