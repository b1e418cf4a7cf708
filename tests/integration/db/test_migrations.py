import asyncio

import asyncpg
import pytest

from libs.db import MigrationError, migrate


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "0001_one.sql").write_text("create table one (id int);")
    (tmp_path / "0002_two.sql").write_text("create table two (id int); insert into two values (1);")
    return tmp_path


async def test_each_is_applied_once(empty_database, folder):
    assert await migrate(empty_database, [("t", folder)]) == ["t/0001_one", "t/0002_two"]
    assert await migrate(empty_database, [("t", folder)]) == []
    (folder / "0003_three.sql").write_text("create table three (id int);")
    assert await migrate(empty_database, [("t", folder)]) == ["t/0003_three"]


async def test_several_migrators_at_once_apply_each_once(empty_database, folder):
    runs = await asyncio.gather(*(migrate(empty_database, [("t", folder)]) for _ in range(5)))
    assert sorted(name for run in runs for name in run) == ["t/0001_one", "t/0002_two"]


async def test_a_failing_file_leaves_nothing_of_itself(empty_database, folder):
    (folder / "0003_bad.sql").write_text("create table three (id int); select 1/0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_database, [("t", folder)])
    connection = await asyncpg.connect(empty_database)
    try:
        assert await connection.fetchval("select to_regclass('three')") is None
        assert await connection.fetchval("select count(*) from schema_migrations") == 2
    finally:
        await connection.close()


async def test_an_edited_file_is_noticed(empty_database, folder):
    await migrate(empty_database, [("t", folder)])
    (folder / "0001_one.sql").write_text("create table other (id int);")
    with pytest.raises(MigrationError, match="t/0001_one was changed"):
        await migrate(empty_database, [("t", folder)])


@pytest.mark.parametrize("name", ["0002_again.sql", "three.sql", "0003_Upper.sql"])
async def test_a_stray_name_is_refused(empty_database, folder, name):
    (folder / name).write_text("select 1;")
    with pytest.raises(MigrationError):
        await migrate(empty_database, [("t", folder)])


async def test_a_held_lock_gives_up_and_can_be_run_again(empty_database, folder):
    await migrate(empty_database, [("t", folder)])
    (folder / "0003_alter.sql").write_text("alter table one add column name text;")
    holder = await asyncpg.connect(empty_database)
    try:
        async with holder.transaction():
            await holder.execute("lock table one in access share mode")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await migrate(empty_database, [("t", folder)], lock_timeout="50ms")
    finally:
        await holder.close()
    assert await migrate(empty_database, [("t", folder)]) == ["t/0003_alter"]
