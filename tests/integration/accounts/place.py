"""What the tests of accounts speak with."""

from libs.api.wire import resource_id
from libs.auth import ANONYMOUS, Caller, calling
from pq.accounts.v1 import accounts_pb2 as pb


class Published:
    """An outbox that keeps what is published."""

    def __init__(self):
        self.events = []

    def encode(self, message, id=None, headers=None):
        self.events.append(message)
        return self

    id = None

    async def write(self, connection, records):
        pass

    def wake(self):
        pass


async def sign_up(servicer, name=""):
    request = pb.CreateAccountRequest(account={"display_name": name})
    made = await ask(servicer.CreateAccount, request, ANONYMOUS)
    return Caller.for_account(resource_id("accounts", "acc", made.account.name)), made.token


async def ask(method, request, who):
    with calling(who):
        return await method(request, None)
