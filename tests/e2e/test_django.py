"""Django with its cache and its sessions in Redis, by django-redis and, from Django 4.0 on, by the
backend of its own; a small site and the cache's whole interface.

Each test runs against redis-server as well. Debian 12 has Django 3.2, Debian 13 has 4.2.
"""

import datetime
import decimal
import threading

import django
import pytest
from django.conf import settings
from django.core.cache import cache, caches
from django.http import HttpResponse, JsonResponse
from django.test import Client, override_settings
from django.urls import path
from django.views.decorators.cache import cache_page

from support.resp import poll
from support.stats import tier

WAIT = 30       # seconds until a test gives up
BACKENDS = ["django_redis.cache.RedisCache"]
if django.VERSION >= (4, 0):
    BACKENDS.append("django.core.cache.backends.redis.RedisCache")

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="only a test", USE_TZ=True,
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"])
django.setup()


# --- the site -------------------------------------------------------------------------------------

n_renderings = 0


def count(request):
    """A counter in the visitor's session."""
    request.session["n"] = request.session.get("n", 0) + 1
    return JsonResponse({"n": request.session["n"]})


def log_in(request):
    request.session.cycle_key()
    request.session["user"] = request.GET["user"]
    request.session.set_expiry(1000)
    return JsonResponse({"user": request.session["user"]})


def log_out(request):
    request.session.flush()
    return HttpResponse("bye")


def render(request):
    global n_renderings
    n_renderings += 1
    return HttpResponse(f"page {request.GET.get('p')}, rendered {n_renderings} times")


def page(request):
    # Not as a decorator: Django 3.2 would keep the first test's cache for all.
    return cache_page(100)(render)(request)


urlpatterns = [path("count", count), path("log-in", log_in), path("log-out", log_out),
               path("page", page)]


# --- fixtures -------------------------------------------------------------------------------------

def disconnect(backend):
    """Ends the connections of one cache, of all threads."""
    if hasattr(backend, "client"):
        backend.client.do_close_clients()
    else:
        for pool in backend._cache._pools.values():
            pool.disconnect()


def cache_on(server, backend, **more):
    return {"BACKEND": backend, "LOCATION": f"redis://127.0.0.1:{server.port}/1", **more}


@pytest.fixture(params=BACKENDS, ids=lambda name: name.split(".")[0])
def backend(request):
    return request.param


@pytest.fixture
def site(either, backend):
    """Django's caches are on the server; `other` is one with a prefix, in the same database."""
    with override_settings(CACHES={
            "default": cache_on(either, backend),
            "other": cache_on(either, backend, KEY_PREFIX="p", VERSION=2, TIMEOUT=None)}):
        yield either
        for alias in ("default", "other"):
            disconnect(caches[alias])


def pttl(server, key):
    """Milliseconds left, asked for beyond the cache's back."""
    with server.conn() as conn:
        conn("SELECT", 1)
        return conn("PTTL", key)


# --- the cache's interface ------------------------------------------------------------------------

@pytest.mark.usefixtures("site")
class TestCache:
    def test_get_set_delete(self):
        assert cache.get("k") is None and cache.get("k", "default") == "default"
        cache.set("k", "value")
        assert [cache.get("k") for _ in range(3)] == ["value"] * 3
        cache.set("k", "new")
        assert cache.get("k") == "new"
        assert cache.delete("k") is True and cache.delete("k") is False
        assert cache.get("k") is None

    def test_has_key(self):
        assert not cache.has_key("k") and "k" not in cache      # noqa: W601
        cache.set("k", None)
        assert cache.has_key("k") and "k" in cache and cache.get("k", "default") is None
        cache.delete("k")
        assert not cache.has_key("k")

    def test_add(self):
        assert cache.add("k", 1) is True and cache.add("k", 2) is False
        assert cache.get("k") == 1
        cache.delete("k")
        assert cache.get("k") is None and cache.add("k", 3) is True and cache.get("k") == 3

    def test_get_or_set(self):
        calls = []

        def value():
            calls.append(1)
            return "made"

        assert [cache.get_or_set("k", value, 100) for _ in range(3)] == ["made"] * 3
        assert len(calls) == 1 and cache.get_or_set("other", 42) == 42
        cache.delete("k")
        assert cache.get_or_set("k", value) == "made" and len(calls) == 2

    @pytest.mark.parametrize("value", [
        0, -1, 2 ** 62, True, False, "", "text \u00e9\u4e16\U0001f600", b"\x00\r\n\xff", 1.5, None,
        (1, "a"), [1, [2, {"deep": {3}}]], {"a": 1, b"b": None}, decimal.Decimal("1.10"),
        datetime.datetime(2030, 1, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc),
        "x" * 1_000_000], ids=lambda v: repr(v)[:20])
    def test_objects_come_back_as_they_were(self, value):
        cache.set("k", value)
        for _ in range(2):
            got = cache.get("k", "default")
            assert got == value and type(got) is type(value)
        assert cache.get_many(["k"]) == {"k": value}

    def test_many(self):
        data = {f"k{i}": {"n": i} for i in range(300)}
        assert not cache.set_many(data, 100)
        assert cache.get_many([*data, "missing"]) == data
        assert cache.get_many(["k1", "k2"]) == {"k1": {"n": 1}, "k2": {"n": 2}}
        cache.set("k2", "changed")
        cache.delete_many(["k1", "missing"])
        assert cache.get_many(["k1", "k2", "k3"]) == {"k2": "changed", "k3": {"n": 3}}
        assert cache.get_many([]) == {} and not cache.set_many({}) and not cache.delete_many([])

    def test_incr_decr(self):
        with pytest.raises(ValueError):
            cache.incr("n")
        cache.set("n", 40)
        assert cache.get("n") == 40
        assert cache.incr("n") == 41 and cache.get("n") == 41
        assert cache.incr("n", 9) == 50 and cache.decr("n") == 49 and cache.decr("n", 50) == -1
        assert cache.get("n") == -1
        with pytest.raises(ValueError):
            cache.decr("missing")

    def test_versions(self):
        cache.set("k", "one")
        cache.set("k", "two", version=2)
        assert cache.get("k") == cache.get("k", version=1) == "one"
        assert cache.get("k", version=2) == "two" and cache.get("k", version=3) is None
        assert cache.delete("k", version=2) and cache.get("k") == "one"
        assert cache.incr_version("k") == 2
        assert cache.get("k") is None and cache.get("k", version=2) == "one"
        assert cache.decr_version("k", version=2) == 1 and cache.get("k") == "one"
        with pytest.raises(ValueError):
            cache.incr_version("missing")

    def test_prefixes(self, site):
        cache.set("k", "plain")
        caches["other"].set("k", "prefixed")
        assert cache.get("k") == "plain" and caches["other"].get("k") == "prefixed"
        assert pttl(site, "p:2:k") == -1 and 290_000 < pttl(site, ":1:k") <= 300_000

    def test_clear(self):
        cache.set_many({f"k{i}": i for i in range(50)})
        assert cache.get("k7") == 7
        cache.clear()
        assert cache.get("k7") is None and cache.get_many([f"k{i}" for i in range(50)]) == {}
        cache.set("k7", "again")
        assert cache.get("k7") == "again"


class TestTimeouts:
    def test_each_way_to_set_one(self, site):
        cache.set("k", "v", 100)
        assert 97_000 < pttl(site, ":1:k") <= 100_000
        cache.set("k", "v", None)
        assert pttl(site, ":1:k") == -1
        cache.set("k", "v")
        assert 297_000 < pttl(site, ":1:k") <= 300_000
        cache.set("n", 1, 50)
        assert cache.incr("n") == 2 and 47_000 < pttl(site, ":1:n") <= 50_000
        cache.set_many({"a": 1, "b": 2}, 20)
        assert 17_000 < pttl(site, ":1:a") <= 20_000 and 17_000 < pttl(site, ":1:b") <= 20_000
        assert cache.add("c", 1, 30) and 27_000 < pttl(site, ":1:c") <= 30_000

    @pytest.mark.parametrize("timeout", (0, -1))
    def test_in_the_past(self, timeout, site):
        cache.set("k", "v", 100)
        assert cache.get("k") == "v"
        cache.set("k", "w", timeout)
        assert cache.get("k") is None and not cache.has_key("k")

    def test_touch(self, site):
        assert cache.touch("k") is False
        cache.set("k", "v", 10)
        assert cache.get("k") == "v"
        assert cache.touch("k", 100) is True and 97_000 < pttl(site, ":1:k") <= 100_000
        assert cache.touch("k", None) is True and pttl(site, ":1:k") == -1
        assert cache.touch("k") is True and 297_000 < pttl(site, ":1:k") <= 300_000
        assert cache.get("k") == "v"

    def test_over(self, site):
        """Somebody else ends the time early, so that this test needn't wait for a second."""
        cache.set("k", "v", 100)
        assert cache.get("k") == "v"
        with site.conn() as conn:
            conn("SELECT", 1)
            assert conn("PEXPIRE", ":1:k", 20) == 1
        poll(lambda: cache.get("k") is None, 5)
        assert not cache.has_key("k") and cache.add("k", "new") is True


@pytest.mark.parametrize("backend", BACKENDS[:1], indirect=True, ids=["django_redis"])
class TestDjangoRedisMore:
    """What django-redis has beyond Django's own interface."""

    def test_time_left(self, site):
        cache.set("k", "v", 100)
        assert 97 <= cache.ttl("k") <= 100 and cache.persist("k") and cache.ttl("k") is None
        assert cache.expire("k", 50) and 47 <= cache.ttl("k") <= 50 and cache.ttl("missing") == 0
        cache.set("short", "v", 0.03)
        poll(lambda: cache.get("short") is None, 5)

    def test_keys_by_pattern(self, site):
        cache.set_many({f"a{i}": i for i in range(100)})
        cache.set("b", 1)
        assert sorted(cache.keys("a1*")) == sorted(["a1", *(f"a1{i}" for i in range(10))])
        assert set(cache.iter_keys("a*")) == {f"a{i}" for i in range(100)}
        assert cache.get("a5") == 5
        assert cache.delete_pattern("a*") == 100
        assert cache.get("a5") is None and cache.get("b") == 1

    def test_set_if(self, site):
        assert cache.set("k", 1, xx=True) is False and cache.set("k", 1, nx=True) is True
        assert cache.set("k", 2, nx=True) is False and cache.set("k", 3, xx=True) is True
        assert cache.get("k") == 3

    def test_increments_and_locks_of_many_threads(self, site):
        cache.set("n", 0)
        cache.set("locked", 0)

        def work():
            for _ in range(20):
                cache.incr("n")
                with cache.lock("lock", timeout=WAIT, sleep=0.001, blocking_timeout=WAIT):
                    cache.set("locked", cache.get("locked") + 1)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
        assert (cache.get("n"), cache.get("locked")) == (80, 80)


# --- the site -------------------------------------------------------------------------------------

class TestSite:
    def test_a_session(self, site):
        visitor, other = Client(), Client()
        assert [visitor.get("/count").json()["n"] for _ in range(5)] == [1, 2, 3, 4, 5]
        assert other.get("/count").json()["n"] == 1
        before = visitor.cookies["sessionid"].value
        assert visitor.get("/log-in?user=ann").json() == {"user": "ann"}
        after = visitor.cookies["sessionid"].value
        key = f":1:django.contrib.sessions.cache{after}"
        assert after != before and 997_000 < pttl(site, key) <= 1000_000
        assert pttl(site, f":1:django.contrib.sessions.cache{before}") == -2
        assert visitor.session["n"] == 5 and visitor.session["user"] == "ann"
        assert visitor.get("/count").json()["n"] == 6
        visitor.get("/log-out")
        assert pttl(site, key) == -2
        assert visitor.get("/count").json()["n"] == 1 and other.get("/count").json()["n"] == 2

    def test_a_session_that_is_gone(self, site):
        """A cookie whose session the server no longer has begins a new one, under another name."""
        visitor = Client()
        assert [visitor.get("/count").json()["n"] for _ in range(2)] == [1, 2]
        before = visitor.cookies["sessionid"].value
        cache.clear()
        assert visitor.get("/count").json()["n"] == 1
        assert visitor.cookies["sessionid"].value != before

    def test_a_cached_page(self, site):
        visitor = Client()
        first = visitor.get("/page?p=1").content
        assert [Client().get("/page?p=1").content for _ in range(5)] == [first] * 5
        assert visitor.get("/page?p=2").content != first
        cache.clear()
        assert visitor.get("/page?p=1").content != first


def test_over_a_unix_socket(l2, new_larder, backend, tmp_path):
    new_larder(l2, "--unixsocket", tmp_path / "larder.sock")
    location = f"unix://{tmp_path}/larder.sock?db=1"
    with override_settings(CACHES={"default": {"BACKEND": backend, "LOCATION": location}}):
        cache.set("k", "v")
        assert cache.get("k") == "v" and pttl(l2, ":1:k") > 290_000
        disconnect(cache)


def test_hits_are_from_l1(pair, backend):
    with override_settings(CACHES={"default": cache_on(pair.larder, backend)}):
        with pair.larder.conn() as conn:
            visitor = Client()
            visitor.get("/page")
            visitor.get("/page")
            before = tier(conn, "L1")["hits"], pair.l2.calls("get")
            for _ in range(50):
                assert visitor.get("/page").status_code == 200
            # The names of the headers that it varies by, and the page.
            assert tier(conn, "L1")["hits"] == before[0] + 100
            assert pair.l2.calls("get") == before[1]
        disconnect(cache)


def test_two_sites_share_their_sessions(pair, backend):
    """One goes through larder, the other to the redis-server behind it."""
    with override_settings(CACHES={"default": cache_on(pair.larder, backend),
                                   "direct": cache_on(pair.l2, backend)}):
        visitor = Client()
        assert [visitor.get("/count").json()["n"] for _ in range(2)] == [1, 2]
        with override_settings(SESSION_CACHE_ALIAS="direct"):
            assert [visitor.get("/count").json()["n"] for _ in range(2)] == [3, 4]
        poll(lambda: visitor.session["n"] == 4, 5)
        assert visitor.get("/count").json()["n"] == 5
        for alias in ("default", "direct"):
            disconnect(caches[alias])
