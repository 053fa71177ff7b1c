//! What stands beside its name in a text, and what only looks like it.

use super::*;

fn masked(text: &str) -> String {
    crate::secret::replace_ranges(text, pairs(text), |_| "#".to_owned()).into_owned()
}

#[test]
fn values_beside_their_names_in_every_format() {
    for (text, wanted) in [
        // Command lines.
        ("--password=hunter2", "--password=#"),
        ("--db.password=hunter2 --port=1", "--db.password=# --port=1"),
        ("run --api-key hunter2 --port 1", "run --api-key # --port 1"),
        ("run --password 'hunter 2' x", "run --password '#' x"),
        ("curl -u app:hunter2 https://a", "curl -u app:# https://a"),
        ("PASSWORD=hunter2 ./run --fast", "PASSWORD=# ./run --fast"),
        ("sh -c 'export DB_PASS=hunter2; run'", "sh -c 'export DB_PASS=#; run'"),
        // Properties, INI, environment files.
        ("a=1\nspring.datasource.password=hunter 2\nb=2\n", "a=1\nspring.datasource.password=#\nb=2\n"),
        ("[db]\npassword = hunter2 ; x\r\nport = 1\r\n", "[db]\npassword = #\r\nport = 1\r\n"),
        ("token = \"hunter2\"\nx = 1\n", "token = \"#\"\nx = 1\n"),
        ("//registry.example.com/:_authToken=hunter2\n", "//registry.example.com/:_authToken=#\n"),
        // YAML.
        ("db:\n  password: hunter2\n  port: 1\n", "db:\n  password: #\n  port: 1\n"),
        ("- name: a\n- password: 'hunter''2' # old\n", "- name: a\n- password: '#' # old\n"),
        ("{user: a, password: hunter2, port: 1}", "{user: a, password: #, port: 1}"),
        ("key:\n  private_key: |\n    one\n\n    two\n  b: c\n", "key:\n  private_key: |\n    #\n  b: c\n"),
        ("tokens:\n- abc\n- 'def'\nport: 1\n", "tokens:\n- #\n- '#'\nport: 1\n"),
        ("tokens: [abc, \"def\"]\nport: 1\n", "tokens: [#, \"#\"]\nport: 1\n"),
        ("pwd: 12345\n", "pwd: #\n"),
        // JSON, and JSON in JSON.
        (
            "{\"user\":\"a\",\"password\":\"hun\\\"ter2\",\"b\":1}",
            "{\"user\":\"a\",\"password\":\"#\",\"b\":1}",
        ),
        (
            "{\n  \"apiKey\": \"hunter2\",\n  \"pin_token\": 1234\n}",
            "{\n  \"apiKey\": \"#\",\n  \"pin_token\": #\n}",
        ),
        (
            "{\"a\":\"{\\\"token\\\":\\\"hunter2\\\",\\\"b\\\":1}\"}",
            "{\"a\":\"{\\\"token\\\":\\\"#\\\",\\\"b\\\":1}\"}",
        ),
        ("{\"secrets\":[\"a b\",\"c\"],\"d\":1}", "{\"secrets\":[\"#\",\"#\"],\"d\":1}"),
        // XML, PHP, connection strings, addresses, headers, redis.conf.
        ("<server><password>hunter2</password></server>", "<server><password>#</password></server>"),
        ("<db password=\"hunter2\" port=\"1\"/>", "<db password=\"#\" port=\"1\"/>"),
        ("'password' => 'hunter2',", "'password' => '#',"),
        ("Server=db;Password=hunter2;Port=1", "Server=db;Password=#;Port=1"),
        ("host=db password=hunter2 port=1", "host=db password=# port=1"),
        ("user=a,password=b,port=1", "user=a,password=#,port=1"),
        ("https://a/b?token=hunter2&c=d", "https://a/b?token=#&c=d"),
        ("curl -H 'X-Api-Key: hunter2' https://a", "curl -H 'X-Api-Key: #' https://a"),
        ("Authorization: Token hunter2\nAccept: a\n", "Authorization: Token #\nAccept: a\n"),
        ("{\"Authorization\": \"Bearer short\"}", "{\"Authorization\": \"Bearer #\"}"),
        ("port 1\nrequirepass hunter2\n", "port 1\nrequirepass #\n"),
        ("machine a login b password hunter2\n", "machine a login b password #\n"),
        ("{\"auths\":{\"a\":{\"auth\":\"dTpodW50ZXIy\"}}}", "{\"auths\":{\"a\":{\"auth\":\"#\"}}}"),
        (
            "const password = \"hunter2\"; const token = get();",
            "const password = \"#\"; const token = get();",
        ),
        ("x := 1\npassword := \"hunter2\"\n", "x := 1\npassword := \"#\"\n"),
        ("export DB_PASS=hunter2 DB_HOST=db\nrun\n", "export DB_PASS=# DB_HOST=db\nrun\n"),
    ] {
        assert_eq!(masked(text), wanted, "{text}");
    }
}

#[test]
fn what_is_no_value_is_left() {
    for text in [
        "password: ${DB_PASSWORD}",
        "password: $(DB_PASSWORD)",
        "password={{ .Values.password }}",
        "--password=$DB_PASSWORD",
        "run --password \"$PASSWORD\"",
        "TOKEN=$(cat /run/token)\nrun\n",
        "passwordPolicy: strict\n",
        "tokenExpirationSeconds: 3600\n",
        "secretName: tls\nsecretKeyRef: {name: a, key: b}\n",
        "secretStoreRef:\n  name: vault\n",
        "imagePullSecrets:\n- name: registry\n",
        "max_tokens: 4096\n",
        "\"useToken\": true, \"token\": null",
        "password: \"\"\nuser: a\n",
        "password:\n",
        "password: <your password>\n",
        "password: ********\n",
        "the secret: nobody knows it",
        "example.com/secret:1.2",
        "image: vault-secret:1.2",
        "if token == \"abc\" { return }",
        "{\"auth\": \"required\"}",
        "the password is short",
        "proxy_pass http://web;",
        "authorization:\n  mode: Webhook\n",
        "authorization: RBAC\n",
        "--token-file=/run/token",
        "--password-file /run/password",
        "--token --verbose",
        "docker run -u app:app web",
        "x => y",
        "",
        "=",
        ":",
        "password",
        "password=",
        "ü: ü=ü",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn odd_texts_are_gone_through() {
    for text in [
        "password: \"",
        "password=\\",
        "token: [",
        "token: [\"",
        "secret: |",
        "secret: |\n",
        "a\\\"=",
        "--",
        "--password ü",
    ] {
        let _found = masked(text);
    }
    let many = "\"password\": \"x\" ".repeat(5_000);
    assert!(!pairs(&many).is_empty());
    let nested = "password: [".repeat(5_000);
    assert!(!pairs(&nested).is_empty());
}

#[test]
fn a_flag_that_takes_a_password() {
    for flag in ["--password", "--db-password", "-token"] {
        assert!(is_password_flag(flag), "{flag}");
    }
    for flag in ["password", "--password-file", "--password=x", "--port", "--", ""] {
        assert!(!is_password_flag(flag), "{flag}");
    }
}
