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
fn values_in_entries_that_have_their_name_beside_them() {
    for (text, wanted) in [
        (
            "env:\n- name: PASSWORD\n  value: hunter2\n- name: A\n  value: b\n",
            "env:\n- name: PASSWORD\n  value: #\n- name: A\n  value: b\n",
        ),
        (
            "- value: \"hunter2\"\n  name: DB_PASS\n- name: A\n",
            "- value: \"#\"\n  name: DB_PASS\n- name: A\n",
        ),
        (
            "headers:\n  - key: 'Authorization'\n    value: Token hunter2\n",
            "headers:\n  - key: 'Authorization'\n    value: #\n",
        ),
        (
            "[{name: A, value: b}, {name: API_KEY, value: hunter2}]",
            "[{name: A, value: b}, {name: API_KEY, value: #}]",
        ),
        (
            "[{\"name\":\"TOKEN\",\"value\":\"hunter2\"},{\"name\":\"A\",\"value\":\"b\"}]",
            "[{\"name\":\"TOKEN\",\"value\":\"#\"},{\"name\":\"A\",\"value\":\"b\"}]",
        ),
        (
            "{\n  \"value\": \"hunter2\",\n  \"name\": \"TOKEN\"\n}",
            "{\n  \"value\": \"#\",\n  \"name\": \"TOKEN\"\n}",
        ),
        (
            "{\"a\":\"[{\\\"name\\\":\\\"TOKEN\\\",\\\"value\\\":\\\"hunter2\\\"}]\"}",
            "{\"a\":\"[{\\\"name\\\":\\\"TOKEN\\\",\\\"value\\\":\\\"#\\\"}]\"}",
        ),
        (
            "<property>\n<name>fs.s3a.secret.key</name>\n<value>hunter2</value>\n",
            "<property>\n<name>fs.s3a.secret.key</name>\n<value>#</value>\n",
        ),
    ] {
        assert_eq!(masked(text), wanted, "{text}");
    }
    for text in [
        "- name: PASSWORD\n  value: $(PW)\n",
        "- name: PASSWORD\n- value: x\n",
        "- value: x\n- name: PASSWORD\n",
        "- name: PASSWORD_FILE\n  value: /run/pw\n",
        "a: {name: PASSWORD}\nb: {value: x}",
        "a:\n  name: PASSWORD\nvalue: x\n",
        "<name>a</name><value>x</value>",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn values_behind_a_word_alone() {
    for (text, wanted) in [
        // Kubeconfigs.
        (
            "user:\n  client-key-data: aHVudGVy\n  token: hunter2\n",
            "user:\n  client-key-data: #\n  token: #\n",
        ),
        ("{\"user\":{\"client-key-data\":\"aHVudGVy\"}}", "{\"user\":{\"client-key-data\":\"#\"}}"),
        // Proxies.
        (
            "  proxy_set_header Authorization \"Basic abc\";\n",
            "  proxy_set_header Authorization \"Basic #\";\n",
        ),
        ("proxy_set_header X-Api-Key hunter2;", "proxy_set_header X-Api-Key #;"),
        ("http-request set-header Authorization hunter2\n", "http-request set-header Authorization #\n"),
        // Short flags.
        ("mysql -u root -phunter2 shop", "mysql -u root -p# shop"),
        ("a; mysqldump -h db -p'hunter 2' >x", "a; mysqldump -h db -p'#' >x"),
        ("sshpass -p hunter2 ssh a@b -p 22", "sshpass -p # ssh a@b -p 22"),
        ("sshpass -phunter2 ssh a@b", "sshpass -p# ssh a@b"),
        ("redis-cli -h a -a hunter2 ping", "redis-cli -h a -a # ping"),
        ("ldapsearch -D cn=a -w 'hunter 2' b", "ldapsearch -D cn=a -w '#' b"),
        ("docker login -u a -p hunter2 registry", "docker login -u a -p # registry"),
        // SQL.
        ("CREATE USER a IDENTIFIED BY 'hunter2';", "CREATE USER a IDENTIFIED BY '#';"),
        (
            "create user a identified with native by \"hunter2\"",
            "create user a identified with native by \"#\"",
        ),
        (
            "CREATE USER a WITH ENCRYPTED PASSWORD 'hunter''2' LOGIN",
            "CREATE USER a WITH ENCRYPTED PASSWORD '#' LOGIN",
        ),
        ("set password = password('hunter2')", "set password = password('#')"),
        // Azure.
        ("https://a.example.com/b?sv=2022&sig=abc%3D&se=1", "https://a.example.com/b?sv=2022&sig=#&se=1"),
        (
            "Protocol=https;AccountName=a;AccountKey=YWJj==;Suffix=b",
            "Protocol=https;AccountName=a;AccountKey=#;Suffix=b",
        ),
        // LDAP.
        ("binddn cn=a\nbindpw hunter2\n", "binddn cn=a\nbindpw #\n"),
        ("config:\n  bindPW: hunter2\n", "config:\n  bindPW: #\n"),
    ] {
        assert_eq!(masked(text), wanted, "{text}");
    }
    for text in [
        "proxy_set_header Authorization $http_authorization;",
        "proxy_set_header Authorization \"Bearer $token\";",
        "proxy_set_header Host $host;",
        "mkdir -p /data && mysql -p",
        "mysql --protocol tcp -p$PASSWORD",
        "sshpass -e ssh a@b -p 22",
        "ps -p 12; tar -pxf a",
        "it is identified by the name",
        "a user is identified with it",
        "PASSWORD IS NULL",
        "sig=abc",
        "bindpw",
    ] {
        assert_eq!(masked(text), text);
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
        "mysql -p",
        "mysql -p'",
        "ü mysql -pü",
        "<value>",
        "{value: ",
        "value: x",
        "\nvalue:",
        "set_header ",
        "set_header Authorization",
        "identified ",
        "password '",
    ] {
        let _found = masked(text);
    }
    let many = "\"password\": \"x\" ".repeat(5_000);
    assert!(!pairs(&many).is_empty());
    for part in [
        "value: ",
        "identified ",
        "password ",
        "login password ",
        "-p ",
        "- ",
        "mysql -p'",
        "set_header ",
        "</name><value>",
    ] {
        let _found = pairs(&part.repeat(20_000));
    }
    let entries = "name: PASSWORD\nvalue: ".repeat(5_000);
    assert!(!pairs(&entries).is_empty());
    let nested = "password: [".repeat(5_000);
    assert!(!pairs(&nested).is_empty());
}

#[test]
fn passwords_among_arguments() {
    for (program, before, argument, wanted) in [
        ("run", Some("--password"), "hunter2", Some(0..7)),
        ("run", Some("--db-password"), "hunter2", Some(0..7)),
        ("run", Some("-token"), "hunter2", Some(0..7)),
        ("run", Some("--password"), "$(PW)", None),
        ("run", Some("--password"), "--port", None),
        ("run", Some("--token"), "true", None),
        ("run", Some("--password-file"), "/run/pw", None),
        ("run", Some("--password=x"), "y", None),
        ("run", Some("password"), "y", None),
        ("run", None, "-phunter2", None),
        ("/usr/bin/mysqldump", None, "-phunter2", Some(2..9)),
        ("mysql", None, "-p$(PW)", None),
        ("mysql", Some("-p"), "shop", None),
        ("redis-cli", Some("-a"), "hunter2", Some(0..7)),
        ("redis-cli", Some("-h"), "host", None),
    ] {
        assert_eq!(
            password_in_argument(program, before, argument),
            wanted,
            "{program} {before:?} {argument}"
        );
    }
}
