<?php
// Prints each message of a channel, until it is killed: phpredis 5.3 never leaves subscribe().
// Usage: php subscribe.php PORT CHANNEL

$redis = new Redis();
$redis->connect("127.0.0.1", (int)$argv[1], 10);
$redis->setOption(Redis::OPT_READ_TIMEOUT, 60);
$redis->subscribe([$argv[2]], function (Redis $redis, string $channel, string $message): void {
    fwrite(STDOUT, "$channel $message\n");
});
