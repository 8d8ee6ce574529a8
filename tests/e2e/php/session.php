<?php
// A web application's requests that share a session, driven line by line: reads one verb a line
// on standard input, answers each with one line of JSON. How sessions are kept comes from
// php.ini's settings (-d session.save_handler=redis ...).
// Usage: php session.php SESSION-ID

session_id($argv[1]);
set_error_handler(function (int $level, string $message): bool {
    fwrite(STDERR, "$message\n");
    return true;
});

$verbs = [
    "start" => fn() => session_start(),
    "set" => fn(string $name, string $value) => $_SESSION[$name] = json_decode($value, true),
    "get" => fn(string $name) => $_SESSION[$name] ?? null,
    "all" => fn() => $_SESSION,
    "close" => fn() => session_write_close(),
    "abort" => fn() => session_abort(),
    "regenerate" => fn() => session_regenerate_id(false) ? session_id() : false,
    "regenerate-and-delete" => fn() => session_regenerate_id(true) ? session_id() : false,
    "destroy" => fn() => session_destroy(),
    "use" => fn(string $id) => session_id($id) !== false,
    "count" => function (string $requests): int {
        for ($i = 0; $i < (int)$requests; $i++) {
            if (!session_start()) {
                return -1;
            }
            $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1;
            session_write_close();
        }
        return $_SESSION["n"];
    },
];

// Not echo: a session can't be started once there was output.
while (($line = fgets(STDIN)) !== false) {
    $words = explode(" ", rtrim($line, "\n"), 3);
    fwrite(STDOUT, json_encode($verbs[array_shift($words)](...$words)) . "\n");
}
