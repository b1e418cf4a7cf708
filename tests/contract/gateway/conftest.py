import pytest

from tests.contract.gateway.serving import serving


@pytest.fixture
async def gateway():
    async with serving() as served:
        yield served
