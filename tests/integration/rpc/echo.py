# ruff: noqa: N802 # the names are those of RPCs
"""Services of the tests' own, one a rule, each with the four shapes of an RPC."""

import asyncio

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from pq.auth.v1 import rule_pb2

SHAPES = {
    "Unary": (False, False),
    "Collect": (True, False),
    "Feed": (False, True),
    "Talk": (True, True),
}
RULES = {
    "Open": rule_pb2.Rule(anonymous=True, read_only=True),
    "Account": rule_pb2.Rule(account=True),
    "AccountReads": rule_pb2.Rule(account=True, read_only=True),
    "Operator": rule_pb2.Rule(roles=[rule_pb2.ROLE_OPERATOR]),
    "Service": rule_pb2.Rule(service=True),
    "Bare": None,
}
PACKAGE = "pq.test.v1"


def _declare():
    file = descriptor_pb2.FileDescriptorProto(
        name="pq/test/v1/echo.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=[rule_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name="Echo")
    for number, name in enumerate(("text", "request_id"), 1):
        message.field.add(name=name, number=number, type=9, label=1)
    for name, rule in RULES.items():
        service = file.service.add(name=name)
        for shape, (client_streaming, server_streaming) in SHAPES.items():
            method = service.method.add(
                name=shape,
                input_type=f".{PACKAGE}.Echo",
                output_type=f".{PACKAGE}.Echo",
                client_streaming=client_streaming,
                server_streaming=server_streaming,
            )
            if rule is not None:
                method.options.Extensions[rule_pb2.rule].CopyFrom(rule)
    pool = descriptor_pool.Default()
    # Serialized once more, so that the pool resolves the option as it does for generated code.
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Echo"))


Echo = _declare()


class Servicer:
    """Echoes in each shape; `on_call(request)` may answer, wait or raise."""

    def __init__(self, on_call=None):
        self.on_call = on_call or self._same

    async def Unary(self, request, context):
        return await self.on_call(request)

    async def Collect(self, requests, context):
        answer = Echo()
        async for request in requests:
            answer.text += (await self.on_call(request)).text
        return answer

    async def Feed(self, request, context):
        for letter in request.text or " ":
            yield await self.on_call(Echo(text=letter))

    async def Talk(self, requests, context):
        async for request in requests:
            yield await self.on_call(request)

    async def _same(self, request):
        return request


def adder(rule):
    """Registers a Servicer as the service of this rule, as generated code does."""

    def add(servicer, server):
        handlers = {}
        for shape, (client_streaming, server_streaming) in SHAPES.items():
            make = getattr(
                grpc,
                f"{'stream' if client_streaming else 'unary'}_"
                f"{'stream' if server_streaming else 'unary'}_rpc_method_handler",
            )
            handlers[shape] = make(
                getattr(servicer, shape), Echo.FromString, Echo.SerializeToString
            )
        name = f"{PACKAGE}.{rule}"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
        server.add_registered_method_handlers(name, handlers)

    return add


class Stub:
    """What generated code would make."""

    def __init__(self, channel, rule):
        for shape, (client_streaming, server_streaming) in SHAPES.items():
            make = getattr(
                channel,
                f"{'stream' if client_streaming else 'unary'}_"
                f"{'stream' if server_streaming else 'unary'}",
            )
            path = f"/{PACKAGE}.{rule}/{shape}"
            call = make(path, Echo.SerializeToString, Echo.FromString, _registered_method=True)
            setattr(self, shape, call)


async def in_turn(text, answered):
    """A letter at a time, the next once the last was answered; for no text, silence.

    grpc.aio makes INTERNAL of a refusal that meets a write of a stream in both directions.
    """
    for letter in text:
        yield Echo(text=letter)
        await answered.get()
    if not text:
        await asyncio.Event().wait()


async def ask(stub, shape, text="ab", **kwargs):
    """Calls one shape with `text`, letter by letter where it streams; answers what came back."""
    answered = asyncio.Queue()
    if shape == "Unary":
        return (await stub.Unary(Echo(text=text), **kwargs)).text
    if shape == "Collect":
        requests = iter([Echo(text=letter) for letter in text])
        return (await stub.Collect(requests, **kwargs)).text
    request = Echo(text=text) if shape == "Feed" else in_turn(text, answered)
    answers = []
    async for item in getattr(stub, shape)(request, **kwargs):
        answers.append(item.text)
        answered.put_nowait(None)
    return "".join(answers)
