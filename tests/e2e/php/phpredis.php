<?php
// phpredis, everyday things: exits with 0 when all of them went as with redis-server, else says
// what did not. Somebody has to listen to the channel "news": subscribe.php.
// Usage: php phpredis.php PORT

function same(mixed $expected, mixed $got, string $what): void
{
    if ($expected !== $got) {
        fwrite(STDERR, "$what: expected " . var_export($expected, true)
            . ", got " . var_export($got, true) . "\n");
        exit(1);
    }
}

function client(): Redis
{
    global $argv;
    $redis = new Redis();
    $redis->connect("127.0.0.1", (int)$argv[1], 10);
    $redis->setOption(Redis::OPT_READ_TIMEOUT, 30);
    return $redis;
}

$redis = client();

// Strings
same(true, $redis->set("k", "v", ["ex" => 100]), "SET EX");
same("v", $redis->get("k"), "GET");
same("v", $redis->get("k"), "GET again");
same(true, $redis->ttl("k") > 97, "TTL");
same(false, $redis->set("k", "w", ["nx"]), "SET NX");
same(false, $redis->get("missing"), "GET of nothing");
same(["v", false], $redis->mGet(["k", "missing"]), "MGET");
same(6, $redis->incrBy("n", 6), "INCRBY");
same(1, $redis->exists("k"), "EXISTS");
same("\0\r\n\xff", $redis->set("bin", "\0\r\n\xff") ? $redis->get("bin") : null, "binary");
same(Redis::REDIS_STRING, $redis->type("k"), "TYPE");
same(2, $redis->del("k", "n", "missing"), "DEL");
same(false, $redis->get("k"), "GET after DEL");

// Other types
same(2, $redis->hSet("h", "f", "1") + $redis->hSet("h", "g", "2"), "HSET");
same(["f" => "1", "g" => "2"], $redis->hGetAll("h"), "HGETALL");
same(["f" => "1", "x" => false], $redis->hMGet("h", ["f", "x"]), "HMGET");
same(3, $redis->rPush("l", "a", "b", "c"), "RPUSH");
same(["a", "b", "c"], $redis->lRange("l", 0, -1), "LRANGE");
same(["l", "a"], $redis->blPop(["none", "l"], 5), "BLPOP");
same(true, !$redis->rawCommand("BLPOP", "none", "0.02"), "BLPOP of nothing");
same(1, $redis->sAdd("s", "x"), "SADD");
same(["x"], $redis->sMembers("s"), "SMEMBERS");
same(2, $redis->zAdd("z", 1, "one", 2.5, "two"), "ZADD");
same(["one" => 1.0, "two" => 2.5], $redis->zRange("z", 0, -1, true), "ZRANGE");
same(false, $redis->incr("l"), "INCR of a list");
// phpredis 5.3 leaves a NUL at the end.
same("WRONGTYPE Operation against a key holding the wrong kind of value",
    rtrim($redis->getLastError(), "\0"), "WRONGTYPE");
$redis->clearLastError();

// Serialised values
$redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_PHP);
$value = ["a" => [1, 2.5, null, true], "text" => "h\u{e9}"];
same(true, $redis->set("php", $value), "SET of an array");
same($value, $redis->get("php"), "GET of an array");
same([$value, false], $redis->mGet(["php", "missing"]), "MGET of arrays");
$redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_NONE);

// Pipelines
$pipe = $redis->multi(Redis::PIPELINE);
for ($i = 0; $i < 500; $i++) {
    $pipe->set("p$i", "v$i")->get("p$i");
}
$got = $pipe->exec();
same(1000, count($got), "a pipeline's replies");
for ($i = 0; $i < 500; $i++) {
    same([true, "v$i"], [$got[2 * $i], $got[2 * $i + 1]], "the pipeline's reply $i");
}
same([true, false, "v"], $redis->pipeline()->set("p", "v")->incr("p")->get("p")->exec(),
    "an error in a pipeline");

// Transactions
same([true, 2, "2", []],
    $redis->multi()->set("n", 1)->incr("n")->get("n")->hGetAll("none")->exec(), "MULTI");
$redis->multi()->set("n", 99);
same(true, $redis->discard(), "DISCARD");
$other = client();
$redis->watch("n");
same("2", $redis->get("n"), "GET of what is watched");
$other->incr("n");
same(false, $redis->multi()->set("n", 99)->exec(), "EXEC after a change");
$redis->watch("n");
same([true], $redis->multi()->set("n", 7)->exec(), "EXEC without one");
same("7", $other->get("n"), "GET by another");
$redis->watch("n");
same(true, $redis->unwatch(), "UNWATCH");

// Iterating
$redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
$found = [];
$cursor = null;
while (($keys = $redis->scan($cursor, "p*", 50)) !== false) {
    array_push($found, ...$keys);
}
same(502, count(array_unique($found)), "SCAN");
for ($i = 0; $i < 600; $i++) {
    $redis->hSet("big", "f$i", (string)$i);
}
$found = [];
$cursor = null;
while (($fields = $redis->hScan("big", $cursor, "f*", 50)) !== false) {
    $found += $fields;
}
same(600, count($found), "HSCAN");

// Scripts
$script = "return {KEYS[1], ARGV[1] * 2}";
same(["k", 42], $redis->eval($script, ["k", "21"], 1), "EVAL");
$sha = $redis->script("load", $script);
same(["k", 42], $redis->evalSha($sha, ["k", "21"], 1), "EVALSHA");
$other->script("flush");
same(false, $redis->evalSha($sha, ["k", "21"], 1), "EVALSHA after SCRIPT FLUSH");
same(0, strpos($redis->getLastError(), "NOSCRIPT"), "NOSCRIPT");
$redis->clearLastError();

// Streams
same("1-1", $redis->xAdd("x", "1-1", ["f" => "v"]), "XADD");
same(true, $redis->xGroup("CREATE", "x", "g", "0"), "XGROUP CREATE");
same(["x" => ["1-1" => ["f" => "v"]]], $redis->xReadGroup("g", "c", ["x" => ">"], 10),
    "XREADGROUP");
same(1, $redis->xAck("x", "g", ["1-1"]), "XACK");

// Databases, and what larder answers by itself
same(true, $redis->select(3), "SELECT");
same(false, $redis->get("n"), "GET in another database");
same(true, $redis->select(0), "SELECT back");
same("7", $redis->get("n"), "GET in the first one");
same(true, version_compare($redis->info("server")["redis_version"], "6.0", ">="), "INFO");
same("hello", $redis->echo("hello"), "ECHO");
same("hello", $redis->rawCommand("ECHO", "hello"), "a raw command");
same(true, $redis->client("setname", "php"), "CLIENT SETNAME");
same("php", $redis->client("getname"), "CLIENT GETNAME");

// A persistent connection, used again
$first = new Redis();
$first->pconnect("127.0.0.1", (int)$argv[1], 10, "app");
$first->select(2);
$first->close();
$second = new Redis();
$second->pconnect("127.0.0.1", (int)$argv[1], 10, "app");
same(true, $second->select(0) && $second->get("n") === "7", "pconnect");

// Pub/sub
same(0, $redis->publish("nobody", "x"), "PUBLISH to nobody");
same(1, $redis->publish("news", "hello"), "PUBLISH to subscribe.php");
same([["news" => "1"], [1, 1]], [
    array_map("strval", $redis->pubSub("numsub", ["news"])),
    $redis->pipeline()->publish("news", "one")->publish("news", "two")->exec(),
], "PUBLISH in a pipeline");
