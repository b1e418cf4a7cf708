"""The e-mail services over gRPC, with real tokens, down to the sink's files."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.field_mask_pb2 import FieldMask

from libs.api.paging import PageTokens
from libs.auth import Caller, Role
from libs.errors import AppError, Kind
from libs.ids import decode
from libs.testing.rpc import account as as_account
from libs.testing.rpc import serving
from pq.delivery.v1 import emails_pb2 as pb
from pq.delivery.v1 import emails_pb2_grpc as grpc_pb
from pq.delivery.v1 import providers_pb2, providers_pb2_grpc
from services.delivery.channels.email.sink import Sink
from services.delivery.domain.email_links import LinkKind
from services.delivery.handlers.email_events import EmailEvents
from services.delivery.handlers.email_suppressions import MAX_ROWS, read_csv
from services.delivery.inbound.received import Bounces
from services.delivery.servicer.email_suppressions import SuppressionServicer
from services.delivery.servicer.emails import EmailAddressServicer, EmailLinkServicer
from services.delivery.servicer.mails import MailServicer
from services.delivery.servicer.providers import ProviderServicer
from tests.integration.delivery.email_world import EmailWorld, token_in
from tests.integration.delivery.world import until

OTHER = UUID("01900000-0000-7000-8000-000000000002")
OPERATOR = Caller.for_operator("tokens/tok_a", Role.OPERATOR)
VIEWER = Caller.for_operator("tokens/tok_v", Role.VIEWER)


class Stubs:
    def __init__(self, channel):
        self.addresses = grpc_pb.EmailAddressServiceStub(channel)
        self.links = grpc_pb.EmailLinkServiceStub(channel)
        self.suppressions = grpc_pb.SuppressionServiceStub(channel)
        self.providers = providers_pb2_grpc.ProviderServiceStub(channel)
        self.mails = providers_pb2_grpc.MailServiceStub(channel)


@pytest.fixture
async def served(world, account, tmp_path):
    mail, sink, tokens = EmailWorld(world), Sink(tmp_path), PageTokens(bytes(32), world.clock)
    sender = await mail.sender([sink])
    addresses = mail.addresses(sender)
    events = EmailEvents(world.db, {}, world.clock, world.ids)
    services = [
        (
            grpc_pb.add_EmailAddressServiceServicer_to_server,
            EmailAddressServicer(world.db, addresses, tokens, world.clock),
        ),
        (
            grpc_pb.add_EmailLinkServiceServicer_to_server,
            EmailLinkServicer(addresses, mail.renderer),
        ),
        (
            grpc_pb.add_SuppressionServiceServicer_to_server,
            SuppressionServicer(world.db, mail.suppressions(sender), tokens, world.clock),
        ),
        (
            providers_pb2_grpc.add_ProviderServiceServicer_to_server,
            ProviderServicer(
                events, Bounces(world.db, world.clock, world.ids, events.receive_bounce), tokens
            ),
        ),
        (providers_pb2_grpc.add_MailServiceServicer_to_server, MailServicer(sink, tokens)),
    ]
    async with serving(*services) as server:
        yield {
            name: Stubs(server.channel(*caller))
            for name, caller in {
                "mine": (as_account(account),),
                "theirs": (as_account(OTHER),),
                "operator": (OPERATOR,),
                "viewer": (VIEWER,),
                "nobody": (),
            }.items()
        }


async def refused(call) -> AppError:
    with pytest.raises(AppError) as caught:
        await call
    return caught.value


def create(email="ann@example.com", **fields):
    request_id = fields.pop("request_id", "")
    address = pb.EmailAddress(email=email, **fields)
    return pb.CreateEmailAddressRequest(email_address=address, request_id=request_id)


async def test_from_an_address_to_the_end_of_it(served):
    mine, nobody, viewer = served["mine"], served["nobody"], served["viewer"]
    made = await mine.addresses.CreateEmailAddress(create(request_id="r1"))
    again = await mine.addresses.CreateEmailAddress(create(request_id="r1"))
    assert made == again
    assert made.state == pb.EMAIL_ADDRESS_STATE_UNCONFIRMED

    async def mails():
        return list((await viewer.mails.ListMails(providers_pb2.ListMailsRequest())).mails)

    async def one_mail():
        return len(await mails()) == 1

    await until(one_mail)
    [caught] = await mails()
    assert caught.recipient == "ann@example.com"
    html = await viewer.mails.GetMail(providers_pb2.GetMailRequest(name=caught.name, html=True))
    token = token_in(html.data.decode())
    page = await nobody.links.GetConfirmationPage(pb.GetConfirmationPageRequest(token=token))
    assert page.content_type == "text/html; charset=utf-8"
    assert b'<form method="post">' in page.data
    get = pb.GetEmailAddressRequest(name=made.name)
    assert (await mine.addresses.GetEmailAddress(get)).state == pb.EMAIL_ADDRESS_STATE_UNCONFIRMED
    confirm = pb.ConfirmEmailAddressRequest(token=token, form=HttpBody(data=b""))
    for _ in range(2):
        page = await nobody.links.ConfirmEmailAddress(confirm)
        assert b"is confirmed" in page.data
        assert b"<form" not in page.data
    found = await mine.addresses.GetEmailAddress(get)
    assert found.state == pb.EMAIL_ADDRESS_STATE_CONFIRMED
    assert found.confirm_time.seconds

    wrong = await nobody.links.GetUnsubscribePage(pb.GetUnsubscribePageRequest(token=token))
    assert b"This link does not work" in wrong.data
    delete = pb.DeleteEmailAddressRequest(name=made.name, etag=made.etag)
    assert (await refused(mine.addresses.DeleteEmailAddress(delete))).kind is Kind.ABORTED
    delete.etag = found.etag
    await mine.addresses.DeleteEmailAddress(delete)
    assert (await refused(mine.addresses.GetEmailAddress(get))).kind is Kind.NOT_FOUND
    page = await nobody.links.ConfirmEmailAddress(confirm)
    assert b"This link does not work" in page.data


async def test_what_of_an_address_can_be_changed(served):
    mine, other = served["mine"], served["theirs"]
    made = await mine.addresses.CreateEmailAddress(create())
    asked = pb.EmailAddress(
        name=made.name,
        description="evenings",
        digest=pb.EmailDigest(hour=18, time_zone="Europe/Berlin"),
        etag=made.etag,
    )
    change = pb.UpdateEmailAddressRequest(email_address=asked, request_id="r")
    changed = await mine.addresses.UpdateEmailAddress(change)
    assert changed == await mine.addresses.UpdateEmailAddress(change)  # repeated, done once
    assert (changed.description, changed.digest.hour) == ("evenings", 18)
    assert changed.next_digest_time.seconds > made.create_time.seconds
    assert changed.email == made.email
    change = pb.UpdateEmailAddressRequest(
        email_address=pb.EmailAddress(name=made.name), update_mask=FieldMask(paths=["digest"])
    )
    cleared = await mine.addresses.UpdateEmailAddress(change)
    assert not cleared.HasField("digest")
    assert not cleared.HasField("next_digest_time")
    assert cleared.description == "evenings"
    assert (await refused(other.addresses.UpdateEmailAddress(change))).kind is Kind.NOT_FOUND
    for field, wrong, paths in (
        ("update_mask", {}, ["email"]),
        ("email_address.digest.hour", {"digest": pb.EmailDigest(hour=24)}, []),
        ("email_address.digest.time_zone", {"digest": pb.EmailDigest(time_zone="../x")}, []),
        ("email_address.event_types[0]", {"event_types": ["x"]}, []),
    ):
        asked = pb.EmailAddress(name=made.name, **wrong)
        change = pb.UpdateEmailAddressRequest(
            email_address=asked, update_mask=FieldMask(paths=paths)
        )
        error = await refused(mine.addresses.UpdateEmailAddress(change))
        assert [one.field for one in error.violations] == [field]
    stale = pb.EmailAddress(name=made.name, description="x", etag=made.etag)
    change = pb.UpdateEmailAddressRequest(email_address=stale)
    assert (await refused(mine.addresses.UpdateEmailAddress(change))).kind is Kind.ABORTED


@pytest.mark.parametrize(
    ("form", "reason"),
    [(b"List-Unsubscribe=One-Click", "one_click"), (b"", "page"), (b"\xff=1", "page")],
)
async def test_unsubscribing(served, world, form, reason):
    mine, nobody = served["mine"], served["nobody"]
    made = await mine.addresses.CreateEmailAddress(create())
    await world.db.execute("update email_addresses set state = 2")
    id = decode("eml", made.name.partition("/")[2])
    token = EmailWorld(world).links.token(LinkKind.UNSUBSCRIBE, id, None)
    page = await nobody.links.GetUnsubscribePage(pb.GetUnsubscribePageRequest(token=token))
    assert b"Send no more to ann@example.com?" in page.data
    request = pb.UnsubscribeRequest(token=token, form=HttpBody(data=form))
    page = await nobody.links.Unsubscribe(request)
    assert b"Nothing more is sent" in page.data
    found = await mine.addresses.GetEmailAddress(pb.GetEmailAddressRequest(name=made.name))
    assert (found.state, found.state_reason) == (pb.EMAIL_ADDRESS_STATE_UNSUBSCRIBED, reason)


async def test_what_is_refused_is_named(served):
    mine, theirs = served["mine"], served["theirs"]
    cases = [
        (create("ann"), Kind.INVALID, "email_address.email"),
        (
            create(event_types=["alert.triggered", "no"]),
            Kind.INVALID,
            "email_address.event_types[1]",
        ),
        (create(description="x" * 501), Kind.INVALID, "email_address.description"),
        (pb.CreateEmailAddressRequest(), Kind.INVALID, "email_address"),
    ]
    for request, kind, field in cases:
        error = await refused(mine.addresses.CreateEmailAddress(request))
        assert (error.kind, error.violations[0].field) == (kind, field)
    made = await mine.addresses.CreateEmailAddress(create())
    error = await refused(mine.addresses.CreateEmailAddress(create()))
    assert (error.kind, error.reason) == (Kind.ALREADY_EXISTS, "email_address_exists")
    assert (
        await refused(
            mine.addresses.ResendConfirmation(pb.ResendConfirmationRequest(name=made.name))
        )
    ).reason == "too_many_confirmations"
    for call in (
        theirs.addresses.GetEmailAddress(pb.GetEmailAddressRequest(name=made.name)),
        theirs.addresses.DeleteEmailAddress(pb.DeleteEmailAddressRequest(name=made.name)),
        theirs.addresses.ResendConfirmation(pb.ResendConfirmationRequest(name=made.name)),
    ):
        assert (await refused(call)).kind is Kind.NOT_FOUND
    listed = await theirs.addresses.ListEmailAddresses(pb.ListEmailAddressesRequest())
    assert not listed.email_addresses


async def test_an_account_has_so_many_addresses_and_lists_them(served):
    mine = served["mine"]
    for number in range(20):
        await mine.addresses.CreateEmailAddress(create(f"a{number}@example.com"))
    error = await refused(mine.addresses.CreateEmailAddress(create("one.more@example.com")))
    assert error.reason == "too_many_email_addresses"
    token, found = "", []
    while True:
        page = await mine.addresses.ListEmailAddresses(
            pb.ListEmailAddressesRequest(page_size=7, page_token=token)
        )
        found += [address.email for address in page.email_addresses]
        token = page.next_page_token
        if not token:
            break
    assert found == [f"a{number}@example.com" for number in reversed(range(20))]
    only = pb.ListEmailAddressesRequest(
        filter='state = EMAIL_ADDRESS_STATE_UNCONFIRMED AND email = "a1*"'
    )
    assert len((await mine.addresses.ListEmailAddresses(only)).email_addresses) == 11


async def test_suppressions_are_an_operators(served):
    operator, viewer, mine = served["operator"], served["viewer"], served["mine"]
    asked = pb.CreateSuppressionRequest(
        suppression=pb.Suppression(email="Ann@Example.com", detail="asked us to"), request_id="r"
    )
    made = await operator.suppressions.CreateSuppression(asked)
    assert await operator.suppressions.CreateSuppression(asked) == made
    assert (made.email, made.reason) == ("ann@example.com", pb.SUPPRESSION_REASON_MANUAL)
    assert made.source == "tokens/tok_a"
    asked.request_id = ""
    assert (
        await refused(operator.suppressions.CreateSuppression(asked))
    ).kind is Kind.ALREADY_EXISTS
    address = await mine.addresses.CreateEmailAddress(create())
    assert address.state == pb.EMAIL_ADDRESS_STATE_SUPPRESSED
    for stub in (viewer, mine):
        assert (await refused(stub.suppressions.CreateSuppression(asked))).kind is Kind.FORBIDDEN
    rows = ("ann@example.com,complaint,", '"Bob <BOB@example.com>",hard_bounce,no', "")
    data = "\r\n".join(("email,reason,detail", *rows))
    load = pb.ImportSuppressionsRequest(csv=HttpBody(data=data.encode()))
    answer = await operator.suppressions.ImportSuppressions(load)
    assert (answer.added_count, answer.known_count) == (1, 1)
    load.request_id = "r"
    again = [await operator.suppressions.ImportSuppressions(load) for _ in range(2)]
    assert [(one.added_count, one.known_count) for one in again] == [(0, 2)] * 2
    listed = await viewer.suppressions.ListSuppressions(
        pb.ListSuppressionsRequest(filter="reason = SUPPRESSION_REASON_HARD_BOUNCE")
    )
    assert [each.email for each in listed.suppressions] == ["bob@example.com"]
    await operator.suppressions.DeleteSuppression(pb.DeleteSuppressionRequest(name=made.name))
    error = await refused(
        operator.suppressions.DeleteSuppression(pb.DeleteSuppressionRequest(name=made.name))
    )
    assert error.kind is Kind.NOT_FOUND
    found = await mine.addresses.GetEmailAddress(pb.GetEmailAddressRequest(name=address.name))
    assert found.state == pb.EMAIL_ADDRESS_STATE_UNCONFIRMED


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"mail\nann@example.com\n", "csv"),
        (b"", "csv"),
        (b"\xff\xfe", "csv"),
        (b"email\nann\n", "csv[line 2].email"),
        (b"email,reason\nann@example.com,boredom\n", "csv[line 2].reason"),
        (b"email,detail\nann@example.com," + b"x" * 501, "csv[line 2].detail"),
        (b'email\n"ann', "csv"),
    ],
)
def test_a_file_that_is_wrong_is_told_where(data, field):
    with pytest.raises(AppError) as caught:
        read_csv(data)
    assert caught.value.violations[0].field == field


def test_a_file_may_be_as_long_as_that():
    lines = (f"a{number}@example.com\n" for number in range(MAX_ROWS + 1))
    with pytest.raises(AppError, match="at most"):
        read_csv(("email\n" + "".join(lines)).encode())


async def test_bounces_are_taken_from_whom_we_know(served, world):
    body = HttpBody(data=b"Subject: hello\r\n\r\nno bounce", content_type="message/rfc822")
    request = providers_pb2.ReceiveBounceRequest(body=body)
    answer = await served["operator"].providers.ReceiveBounce(request)
    assert not answer.events
    kept = await world.db.fetchrow("select source, size from bounces")
    assert (kept["source"], kept["size"]) == ("api", len(body.data))
    assert (await refused(served["mine"].providers.ReceiveBounce(request))).kind is Kind.FORBIDDEN
    nobody = served["nobody"].providers
    assert (await refused(nobody.ReceiveBounce(request))).kind is Kind.UNAUTHENTICATED
    listed = await served["viewer"].providers.ListEmailEvents(
        providers_pb2.ListEmailEventsRequest(filter='provider = "bounce"')
    )
    assert not listed.email_events
    asked = providers_pb2.ReceiveEventsRequest(provider="resend", body=body)
    assert (await refused(nobody.ReceiveEvents(asked))).kind is Kind.NOT_FOUND


async def test_two_confirm_at_once(served, world):
    made = await served["mine"].addresses.CreateEmailAddress(create())
    id = decode("eml", made.name.partition("/")[2])
    links = EmailWorld(world).links
    until_time = world.clock.now().replace(year=2099)
    token = links.token(LinkKind.CONFIRM, id, until_time)
    request = pb.ConfirmEmailAddressRequest(token=token)
    await asyncio.gather(*(served["nobody"].links.ConfirmEmailAddress(request) for _ in range(8)))
    found = await served["mine"].addresses.GetEmailAddress(
        pb.GetEmailAddressRequest(name=made.name)
    )
    assert (found.state, found.etag) == (pb.EMAIL_ADDRESS_STATE_CONFIRMED, '"3"')
