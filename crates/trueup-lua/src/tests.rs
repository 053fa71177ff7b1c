//! What scripts can do, what they cannot, and what becomes of what they return.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_engine::settings::{ConfigData, Settings};
use trueup_health::{Health, HealthStatus, Scripts};
use trueup_object::Value;

use crate::library::Script;
use crate::{Effect, Library, LuaRules, Operation, Pool, ScriptError};

/// 2026-11-21T14:03:09Z
const NOW: i64 = 1_795_269_789;

fn script(lua: &str, open_libs: bool) -> Script {
    Script { lua: Arc::from(lua), source: "test".into(), chunk: "test.lua", open_libs }
}

fn yaml(text: &str) -> Value {
    Value::from_yaml(text.as_bytes()).unwrap()
}

fn run_on(pool: &Pool, object: &str, lua: &str) -> Result<Value, ScriptError> {
    pool.run(&script(lua, true), &yaml(object), &BTreeMap::new(), NOW)
}

/// What a script with all libraries returns.
fn run(lua: &str) -> Result<Value, ScriptError> {
    run_on(&Pool::default(), "{a: 1}", lua)
}

fn json(lua: &str) -> String {
    match run(lua) {
        Ok(value) => value.to_json(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn the_dialect_is_that_of_argo_cd() {
    for (lua, expected) in [
        ("for i = 1, 3 do if i < 3 then goto continue end; do return i end ::continue:: end", "3"),
        ("return table.getn({1, 2, 3})", "3"),
        ("return unpack({1, 2})", "2"),
        ("return {}", "[]"),
        ("return nil", "null"),
        ("", "null"),
        ("return {1, 'a', {b = true}}", r#"[1,"a",{"b":true}]"#),
        ("return 7 / 2", "3.5"),
        ("return 2^53", "9007199254740992"),
        ("return math.huge > 1 and math.floor(1.5)", "1"),
        ("return obj.a + 1", "2"),
        ("return tostring(obj.a)", r#""1""#),
        ("return type(obj.missing)", r#""nil""#),
        ("local os = require('os') return os.date('!%Y-%m-%dT%XZ')", r#""2026-11-21T14:03:09Z""#),
        ("return os.date('!%y%m%d%H%M')", r#""2611211403""#),
        ("return os.time()", "1795269789"),
        ("return os.time({year=2026, month=11, day=21, hour=14, min=3, sec=9})", "1795269789"),
        ("return os.time({year=2024, month=14, day=0, hour=0})", "1738281600"),
        ("return os.date('*t', 0).year", "1970"),
        ("return string.format('%s-%d', 'a', 3)", r#""a-3""#),
        ("return (load('return 5'))()", "5"),
        ("x = 5 return _G.x", "5"),
        ("local ok, why = pcall(error, 'no', 0) return why", r#""no""#),
        (
            "local ok, why = xpcall(function() error('no', 0) end, function(why) return why .. '!' end) return {ok, why}",
            r#"[false,"no!"]"#,
        ),
        ("return {xpcall(function(...) return ... end, print, 1, 2)}", "[true,1,2]"),
        ("local t = setmetatable({}, {__index = {a = 1}}) return t.a", "1"),
        ("return {[1] = 'a', [3] = 'b'}", "error: cannot encode sparse array"),
        ("return {1, a = 2}", "error: cannot encode mixed or invalid key types"),
        ("local t = {} t.t = t return t", "error: cannot encode recursively nested tables to JSON"),
        ("return {f = print}", "error: cannot encode function to JSON"),
        ("return {n = 0/0}", "error: cannot encode NaN to JSON"),
        ("error('no good', 0)", "error: no good"),
        ("local x = nil\nreturn x.y", "error: test.lua:2: attempt to index local 'x' (a nil value)"),
        ("return 1 +", "error: test.lua:1: unexpected symbol near '<eof>'"),
    ] {
        assert_eq!(json(lua), expected, "{lua}");
    }
}

#[test]
fn patterns_match_as_in_the_reference() {
    for (lua, expected) in [
        ("return {('hello world'):find('o w')}", "[5,7]"),
        ("return {('hello'):find('l+')}", "[3,4]"),
        ("return {('hello'):find('(l)(l)')}", r#"[3,4,"l","l"]"#),
        ("return {('a.b'):find('.', 2, true)}", "[2,2]"),
        ("return {('abc'):find('b', -1)}", "[]"),
        ("return {('abc'):find('', 10)}", "[4,3]"),
        ("return {('key = value'):match('^(%w+)%s*=%s*(%w+)$')}", r#"["key","value"]"#),
        ("return ('  trim  '):match('^%s*(.-)%s*$')", r#""trim""#),
        ("return ('f(a(b)c)d'):match('%b()')", r#""(a(b)c)""#),
        ("return ('THE (quick) fox'):find('%f[%a]%a+%f[%A]')", "3"),
        ("return ('abcabc'):match('(abc)%1')", r#""abc""#),
        ("return ('v1.22.3'):match('()%d+')", "2"),
        ("return ('a-b]c'):match('[%]b-]+')", r#""-b]""#),
        ("return ('xyz'):match('[^x-y]')", r#""z""#),
        ("return ('aXbX'):match('.-X')", r#""aX""#),
        ("return ('ab'):match('a?b?c?')", r#""ab""#),
        ("return {('hello world'):gsub('o', '0')}", r#"["hell0 w0rld",2]"#),
        ("return {('hello'):gsub('', '-')}", r#"["-h-e-l-l-o-",6]"#),
        ("return (('a b c'):gsub('%w', '<%0>', 2))", r#""<a> <b> c""#),
        ("return (('k=v'):gsub('(%w)=(%w)', '%2=%1'))", r#""v=k""#),
        ("return (('$a $b'):gsub('%$(%w)', {a = 'x'}))", r#""x $b""#),
        ("return (('abc'):gsub('%w', function(c) if c == 'b' then return 'B' end end))", r#""aBc""#),
        (
            "local t = {} for k, v in ('a=1,b=2'):gmatch('(%w)=(%w)') do t[k] = v end return t",
            r#"{"a":"1","b":"2"}"#,
        ),
        ("local n = 0 for _ in ('abc'):gmatch('') do n = n + 1 end return n", "4"),
        ("return (5):find()", "error: test.lua:1: attempt to index a number value"),
        ("return ('a'):match('[a')", "error: malformed pattern (missing ']')"),
        ("return ('a'):match('%')", "error: malformed pattern (ends with '%')"),
        ("return ('a'):match('(a')", "error: unfinished capture"),
    ] {
        assert_eq!(json(lua), expected, "{lua}");
    }
}

#[test]
fn there_is_no_way_out() {
    for name in [
        "io",
        "debug",
        "ffi",
        "jit",
        "package",
        "dofile",
        "loadfile",
        "module",
        "newproxy",
        "collectgarbage",
        "getfenv",
        "setfenv",
        "coroutine",
        "gcinfo",
        "bit",
        "os.execute",
        "os.exit",
        "os.getenv",
        "os.remove",
        "os.rename",
        "os.tmpname",
        "os.setlocale",
        "os.clock",
        "string.dump",
    ] {
        assert_eq!(json(&format!("return type({name})")), r#""nil""#, "{name}");
    }
    for name in ["io", "ffi", "jit", "debug", "package", "bit", "socket"] {
        let lua = format!(
            "local ok, why = pcall(require, '{name}') return {{ok, (tostring(why):gsub('^[^:]*:%d+: ', ''))}}"
        );
        assert_eq!(json(&lua), format!(r#"[false,"module {name} not found"]"#), "{name}");
    }
    // Compiled code could be forged.
    assert_eq!(json("return (load('\\27LJ\\2'))"), "null");
    assert_eq!(json("return getmetatable('')"), "false");
    assert_eq!(
        json("return getmetatable('').__index"),
        "error: test.lua:1: attempt to index a boolean value"
    );
}

#[test]
fn libraries_are_given_to_those_who_ask() {
    let pool = Pool::default();
    let kind = |open, lua: &str| {
        pool.run(&script(lua, open), &Value::Null, &BTreeMap::new(), NOW).unwrap().to_json()
    };
    for (name, without) in [("string", "nil"), ("math", "nil"), ("table", "table"), ("os", "table")] {
        let lua = format!("return type({name})");
        assert_eq!(kind(false, &lua), format!("\"{without}\""));
        assert_eq!(kind(true, &lua), "\"table\"");
        assert_eq!(kind(false, &lua), format!("\"{without}\""));
    }
    assert_eq!(kind(true, "return ('a'):upper()"), "\"A\"");
    assert!(pool.run(&script("return ('a'):upper()", false), &Value::Null, &BTreeMap::new(), NOW).is_err());
    assert_eq!(kind(true, "return ('a'):upper()"), "\"A\"");
}

#[test]
fn nothing_is_left_for_the_next_script() {
    let pool = Pool::default();
    for lua in [
        "leak = 1",
        "string.upper = function() return 'leak' end",
        "table.insert = nil",
        "_G.pairs = nil",
        "rawset(_G, 'tostring', nil)",
        "require('string').lower = nil",
        "math.floor = nil",
    ] {
        run_on(&pool, "{}", lua).unwrap();
    }
    let seen = "return {type(leak), ('a'):upper(), string.upper('b'), type(table.insert), type(pairs), type(tostring), \
                ('A'):lower(), type(math.floor)}";
    let expected = r#"["nil","A","B","function","function","function","a","function"]"#;
    assert_eq!(run_on(&pool, "{}", seen).unwrap().to_json(), expected);
}

#[test]
fn no_script_runs_for_ever() {
    let pool = Pool::default();
    let limit = ScriptError::Instructions { limit: 20_000_000 };
    for lua in [
        "while true do end",
        "pcall(function() while true do end end) return {status = 'Healthy'}",
        "while true do pcall(function() while true do end end) end",
        "xpcall(function() while true do end end, function() while true do end end)",
        "pcall(pcall, function() while true do end end) return {}",
        "local function f() return f() end f()",
        "local s = ('a'):rep(10000) s:find(('.-'):rep(20) .. 'b')",
        "local s = ('a'):rep(100000) while true do s:gsub('b', 'c') end",
        "for x in pairs(setmetatable({1}, {})) do while true do end end",
        "load('while true do end')()",
        "local s = ('a'):rep(1000000) return (s:gsub('a', s))",
        "table.sort({1, 2, 3}, function() while true do end end)",
    ] {
        assert_eq!(run_on(&pool, "{}", lua), Err(limit.clone()), "{lua}");
    }
    assert_eq!(run_on(&pool, "{}", "return 1").unwrap(), Value::Int(1));
}

#[test]
fn no_script_takes_all_memory() {
    let pool = Pool::default();
    let limit = ScriptError::Memory { limit_mb: 64 };
    for lua in [
        "local s = 'x' while true do s = s .. s end",
        "return ('x'):rep(1e9)",
        "local t = {} for i = 1, 1e9 do t[i] = {i} end",
        "local s, t = ('x'):rep(1e6), {} for i = 1, 1000 do t[i] = s end return table.concat(t)",
    ] {
        assert_eq!(run_on(&pool, "{}", lua), Err(limit.clone()), "{lua}");
    }
    // What is garbage between two runs does not count against the next.
    for _ in 0..20 {
        run_on(&pool, "{}", "local t = {} for i = 1, 100000 do t[i] = {i} end return 1").unwrap();
    }
    let nested = "local function f() return 1 + f() end return f()";
    assert!(run_on(&pool, "{}", nested).unwrap_err().to_string().contains("stack overflow"));
}

#[test]
fn the_same_object_gives_the_same_answer() {
    let object =
        format!("{{labels: {{{}}}}}", (0..50).map(|n| format!("k{n}: v")).collect::<Vec<_>>().join(", "));
    let lua = "local t = {} for k in pairs(obj.labels) do table.insert(t, k) end return table.concat(t, ' ')";
    let mut expected: Vec<_> = (0..50).map(|n| format!("k{n}")).collect();
    expected.sort();
    for _ in 0..3 {
        let walked = run_on(&Pool::default(), &object, lua).unwrap();
        assert_eq!(walked.as_str(), Some(expected.join(" ").as_str()));
    }
    assert_eq!(json("return {tostring({}), tostring(print)}"), r#"["table","function"]"#);
    assert_eq!(json("return math.random(1000000)"), json("return math.random(1000000)"));
    let holed = "local t = {} for k, v in pairs({1, 2, nil, 4, x = 1, [2.5] = 1, [true] = 1}) do table.insert(t, tostring(k)) end \
                 return table.concat(t, ' ')";
    assert_eq!(json(holed), r#""1 2 2.5 4 x true""#);
    let removed = "local t, n = {a = 1, b = 2}, 0 for k in pairs(t) do t.b = nil n = n + 1 end return n";
    assert_eq!(json(removed), "1");
    assert_eq!(
        json("for k in pairs(nil) do end"),
        "error: test.lua:1: bad argument #1 to 'pairs' (table expected, got nil)"
    );
}

/// Rules with what `argocd-cm` says.
fn rules(argocd: &[(&str, &str)]) -> LuaRules {
    let data: ConfigData =
        argocd.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let (library, problems) = Library::of_settings(&Settings::read(&data, &ConfigData::new()));
    assert_eq!(problems, []);
    LuaRules::new(library, Arc::default())
}

const WIDGET: &str = "{apiVersion: example.io/v1, kind: Widget, metadata: {name: w}, spec: {up: true}}";

fn judged(lua: &str) -> Option<Health> {
    let rules = rules(&[("resource.customizations.health.example.io_Widget", lua)]);
    let scripted = rules.judge(&yaml(WIDGET), NOW).unwrap();
    assert_eq!(scripted.source, "argocd-cm");
    scripted.health
}

#[test]
fn what_a_script_returns_is_health() {
    use HealthStatus::{Degraded, Healthy, Unknown};
    for (lua, status, message) in [
        ("return {status = 'Healthy'}", Healthy, ""),
        ("return {status = 'Degraded', message = obj.metadata.name}", Degraded, "w"),
        ("return {Status = 'Healthy', Message = 'x'}", Healthy, "x"),
        ("return {status = 'Fine'}", Unknown, "Lua returned an invalid health status"),
        ("return {message = 'only'}", Unknown, "Lua returned an invalid health status"),
        (
            "return {status = 'Healthy', message = 3}",
            Unknown,
            "the field message of the returned table is a integer",
        ),
        ("return 'Healthy'", Unknown, "expect table output from Lua script, not string"),
        ("return 5", Unknown, "expect table output from Lua script, not number"),
        ("return true", Unknown, "expect table output from Lua script, not boolean"),
        ("error('boom')", Unknown, "health.lua:1: boom"),
        ("return {", Unknown, "health.lua:1: unexpected symbol near '<eof>'"),
        ("while true do end", Unknown, "the script ran longer than 20000000 instructions"),
        ("string.find('a', 'b')", Unknown, "health.lua:1: attempt to index global 'string' (a nil value)"),
    ] {
        assert_eq!(judged(lua), Some(Health::new(status, message)), "{lua}");
    }
    for silent in ["return nil", "-- nothing", "return {}", "return {{status = 'Healthy'}}"] {
        assert_eq!(judged(silent), None, "{silent}");
    }
}

#[test]
fn settings_name_kinds_exactly_or_by_pattern() {
    let status = |rules: &LuaRules, object: &str| {
        rules.judge(&yaml(object), NOW).and_then(|scripted| scripted.health).map(|health| health.message)
    };
    let with = |message: &str| format!("return {{status = 'Healthy', message = '{message}'}}");
    let (exact, pattern, all) = (with("exact"), with("pattern"), with("all"));
    let rules = rules(&[
        ("resource.customizations.health.example.io_Widget", &exact),
        ("resource.customizations.health.*.io_Widget", &pattern),
        ("resource.customizations", &format!("Service:\n  health.lua: |\n    {all}\n")),
        (
            "resource.customizations.health.open.io_Gadget",
            "return {status = 'Healthy', message = ('x'):rep(2)}",
        ),
        ("resource.customizations.useOpenLibs.open.io_Gadget", "true"),
    ]);
    assert_eq!(status(&rules, WIDGET).as_deref(), Some("exact"));
    assert_eq!(status(&rules, "{apiVersion: other.io/v1, kind: Widget}").as_deref(), Some("pattern"));
    assert_eq!(status(&rules, "{apiVersion: v1, kind: Service}").as_deref(), Some("all"));
    assert_eq!(status(&rules, "{apiVersion: open.io/v1, kind: Gadget}").as_deref(), Some("xx"));
    assert_eq!(status(&rules, "{apiVersion: v1, kind: Secret}"), None);
    assert_eq!(status(&rules, "{}"), None);
}

const ACTIONS: &str = r#"
discovery.lua: |
  local actions = {}
  actions["restart"] = {}
  actions["stop"] = {disabled = not obj.spec.up, displayName = "Stop it", iconClass = "fa fa-stop", params = {{name = "grace"}}}
  return actions
definitions:
- name: stop
  action.lua: |
    obj.spec.up = false
    obj.spec.grace = tonumber(actionParams["grace"])
    return obj
- name: spawn
  action.lua: |
    return {
      {operation = "create", resource = {apiVersion = "v1", kind = "ConfigMap", metadata = {name = obj.metadata.name .. "-copy"}}},
      {operation = "patch", resource = obj},
    }
- name: odd
  action.lua: |
    return {{operation = "delete", resource = obj}}
"#;

#[test]
fn actions_of_the_settings() {
    let rules = rules(&[("resource.customizations.actions.example.io_Widget", ACTIONS)]);
    let offered = rules.actions(&yaml(WIDGET), NOW).unwrap();
    let names: Vec<_> = offered.iter().map(|action| (action.name.as_str(), action.disabled)).collect();
    assert_eq!(names, [("restart", false), ("stop", false)]);
    assert_eq!(
        (offered[1].display_name.as_str(), offered[1].icon_class.as_str(), offered[1].params.as_slice()),
        ("Stop it", "fa fa-stop", ["grace".to_owned()].as_slice())
    );
    let run = |name: &str, object: &str| {
        let parameters = BTreeMap::from([("grace".to_owned(), "30".to_owned())]);
        rules.run_action(&yaml(object), name, &parameters, NOW)
    };
    let effects = run("stop", WIDGET).unwrap();
    assert_eq!(effects.len(), 1);
    assert_eq!(effects[0].operation, Operation::Patch);
    assert_eq!(effects[0].resource.at(&["spec"]).unwrap().to_json(), r#"{"grace":30,"up":false}"#);
    let effects = run("spawn", WIDGET).unwrap();
    let shown: Vec<_> =
        effects.iter().map(|it| (it.operation.as_str(), it.resource.str_at(&["kind"]))).collect();
    assert_eq!(shown, [("create", Some("ConfigMap")), ("patch", Some("Widget"))]);
    assert_eq!(run("odd", WIDGET).unwrap_err().to_string(), "unsupported operation: \"delete\"");
    assert_eq!(run("no", WIDGET).unwrap_err().to_string(), "there is no action no for example.io/Widget");
    assert_eq!(rules.actions(&yaml("{apiVersion: v1, kind: Service}"), NOW), Ok(Vec::new()));
}

#[test]
fn the_way_through_lua_does_not_change_an_object() {
    let object = "{apiVersion: example.io/v1, kind: Widget, metadata: {name: w, annotations: {}}, \
                  spec: {list: [], map: {}, big: 9007199254740993, float: 1.5, rows: [{x: {}, y: []}], gone: null}}";
    let rules = rules(&[(
        "resource.customizations.actions.example.io_Widget",
        "definitions: [{name: same, action.lua: 'return obj'}, {name: emptied, action.lua: 'obj.spec.rows = {} return obj'}]",
    )]);
    let resource = |name: &str| -> Value {
        let effects: Vec<Effect> = rules.run_action(&yaml(object), name, &BTreeMap::new(), NOW).unwrap();
        effects.into_iter().next().unwrap().resource
    };
    let mut expected = yaml(object);
    expected.remove_at(&["spec", "gone"]);
    assert_eq!(resource("same").to_json(), expected.to_json());
    assert_eq!(resource("emptied").at(&["spec", "rows"]).unwrap().to_json(), "[]");
}

#[test]
fn what_a_script_says_is_the_same_at_every_look() {
    let table = "the script failed with a table, and not with a text";
    for (lua, message) in [
        ("error({})", table),
        ("error({code = 3})", table),
        ("error(function() end)", "the script failed with a function, and not with a text"),
        ("local ok, why = pcall(error, {}) error(why)", table),
        ("return {status = 'Healthy', message = tostring({}) .. tostring(print)}", "tablefunction"),
    ] {
        assert_eq!(judged(lua).map(|health| health.message).as_deref(), Some(message), "{lua}");
    }
    assert_eq!(json("error(setmetatable({}, {__tostring = function() return 'own' end}))"), "error: own");
    assert_eq!(json("error(string.format('at %s', {}), 0)"), "error: at table");
}

/// A message is kept in the status of an Application, where whoever may read that sees it.
#[test]
fn no_script_that_judges_sees_the_values_of_a_secret() {
    let secret = "{apiVersion: v1, kind: Secret, type: Opaque, metadata: {name: db, annotations: {kubectl.kubernetes.io/last-applied-configuration: 'x LEAK', team: web}}, data: {password: LEAK, empty: ''}, stringdata: {pw: LEAK}, spec: [LEAK]}";
    for (lua, message) in [
        ("return {status = 'Degraded', message = 'bad ' .. obj.data.password}", "bad ***"),
        ("error(obj.data.password, 0)", "***"),
        ("return {status = 'Degraded', message = obj.stringdata.pw .. obj.spec[1]}", "******"),
        (
            "return {status = 'Healthy', message = obj.metadata.annotations['kubectl.kubernetes.io/last-applied-configuration']}",
            "***",
        ),
        (
            "return {status = 'Healthy', message = obj.type .. obj.metadata.name .. obj.metadata.annotations.team .. obj.data.empty}",
            "Opaquedbweb",
        ),
    ] {
        let rules = rules(&[("resource.customizations.health.Secret", lua)]);
        let health = rules.judge(&yaml(secret), NOW).and_then(|scripted| scripted.health);
        assert_eq!(health.map(|health| health.message).as_deref(), Some(message), "{lua}");
    }
    assert_eq!(
        judged("return {status = 'Degraded', message = 'no way to postgres://a:LEAK@db/'}"),
        Some(Health::new(HealthStatus::Degraded, "no way to postgres://a:***@db/"))
    );
}

#[test]
fn no_script_says_a_sensitive_value_of_any_kind() {
    let workload = "{apiVersion: example.com/v1, kind: Web, metadata: {name: a, annotations: {example.com/token: LEAKnote}}, spec: {password: LEAKword, limit: '12', env: [{name: PASSWORD, value: LEAKenv}, {name: COLOUR, value: green}], args: [--password, LEAKarg]}}";
    for (lua, said) in [
        (
            "return {status = 'Degraded', message = 'bad ' .. obj.spec.password .. obj.spec.limit}",
            "bad ***12",
        ),
        ("return {status = 'Degraded', message = obj.metadata.annotations['example.com/token']}", "***"),
        (
            "return {status = 'Degraded', message = obj.spec.env[1].value .. obj.spec.env[2].value}",
            "***green",
        ),
        ("error(obj.spec.args[2], 0)", "***"),
        ("return obj.spec.args[2]", "expect table output from Lua script, not string"),
    ] {
        let rules = rules(&[("resource.customizations.health.example.com_Web", lua)]);
        let health = rules.judge(&yaml(workload), NOW).and_then(|scripted| scripted.health);
        assert_eq!(health.map(|health| health.message).as_deref(), Some(said), "{lua}");
    }
}

#[test]
fn no_action_says_a_sensitive_value_of_any_kind() {
    let workload = yaml("{apiVersion: example.com/v1, kind: Web, spec: {password: LEAKword}}");
    let with = |discovery: &str, action: &str| {
        let text = format!(
            "discovery.lua: |\n  {discovery}\ndefinitions:\n- name: go\n  action.lua: |\n    {action}\n"
        );
        rules(&[("resource.customizations.actions.example.com_Web", &text)])
    };
    let rules = with(
        "return {go = {displayName = 'use ' .. obj.spec.password, params = {{name = obj.spec.password}}}}",
        "error('no ' .. obj.spec.password, 0)",
    );
    let actions = rules.actions(&workload, NOW).unwrap();
    assert_eq!(
        (actions[0].display_name.as_str(), actions[0].params.as_slice()),
        ("use ***", &["***".to_owned()][..])
    );
    let error = rules.run_action(&workload, "go", &std::collections::BTreeMap::new(), NOW).unwrap_err();
    assert_eq!(error.to_string(), "no ***");
    let rules =
        with("error(obj.spec.password, 0)", "return {{operation = obj.spec.password, resource = obj}}");
    assert_eq!(rules.actions(&workload, NOW).unwrap_err().to_string(), "***");
    let error = rules.run_action(&workload, "go", &std::collections::BTreeMap::new(), NOW).unwrap_err();
    assert_eq!(error.to_string(), "unsupported operation: \"***\"");
}
