//! The commands that ask the admin API: what each sends, and what a person then reads.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "in tests a failure is what an unwrap is for, in their helpers too"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread::{JoinHandle, spawn};

/// Answers one request, and tells what it was.
fn answering(status: &'static str, reply: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let (mut length, mut token) = (0, false);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            token |= header == "authorization: bearer secret-token";
        }
        assert!(token, "the token was not sent");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let length = reply.len();
        let stream = reader.get_mut();
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{reply}"
        )
        .unwrap();
        let line = line.trim().trim_end_matches(" HTTP/1.1");
        format!("{line} {}", String::from_utf8(body).unwrap())
            .trim()
            .to_owned()
    });
    (url, asked)
}

/// What the program says on both roads, and whether it is content.
fn run(url: &str, arguments: &str) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments.split(' '))
        .env_clear()
        .env("TOLLGATE_ADMIN_URL", url)
        .env("TOLLGATE_ADMIN_TOKEN", "secret-token")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn each_command_asks_for_what_its_words_mean() {
    for (arguments, want) in [
        (
            "keys list --team a/b",
            "GET /api/v1/keys?team=a%2Fb&limit=1000",
        ),
        ("keys show bot", "GET /api/v1/keys/bot"),
        (
            "keys create bot --team search --models small,large --max-budget 5",
            r#"POST /api/v1/keys {"name":"bot","team":"search","max_budget":"5","models":["small","large"]}"#,
        ),
        (
            "keys rotate bot --overlap 1h",
            r#"POST /api/v1/keys/bot/rotate {"overlap":"1h"}"#,
        ),
        ("keys disable bot", "POST /api/v1/keys/bot/disable"),
        ("keys enable bot", "POST /api/v1/keys/bot/enable"),
        (
            "keys expire bot --at 2030-01-31",
            r#"POST /api/v1/keys/bot/expire {"at":"2030-01-31"}"#,
        ),
        ("keys delete bot", "DELETE /api/v1/keys/bot"),
        ("orgs list", "GET /api/v1/orgs?limit=1000"),
        (
            "teams create t org=acme",
            r#"POST /api/v1/teams {"org":"acme","name":"t"}"#,
        ),
        (
            "users change u tier=",
            r#"PATCH /api/v1/users/u {"tier":null}"#,
        ),
        ("users delete u", "DELETE /api/v1/users/u"),
        ("budgets list", "GET /api/v1/budgets?limit=1000"),
        ("budgets show team:t", "GET /api/v1/budgets/team:t"),
        (
            "budgets set team:t max_budget=100 budget_duration=month",
            r#"PUT /api/v1/budgets/team:t {"max_budget":"100","budget_duration":"month"}"#,
        ),
        ("budgets delete team:t", "DELETE /api/v1/budgets/team:t"),
        (
            "switch off deployment alpha/small --reason broken",
            r#"PUT /api/v1/switches/deployment:alpha%2Fsmall {"reason":"broken"}"#,
        ),
        (
            "switch on provider alpha",
            "DELETE /api/v1/switches/provider:alpha",
        ),
        ("switch list", "GET /api/v1/switches"),
        (
            "spend --by team,model --from 24h --only key=bot",
            "GET /api/v1/spend?by=team,model&from=24h&key=bot",
        ),
        ("accounts team:t", "GET /api/v1/accounts?scope=team:t"),
    ] {
        let (url, asked) = answering("200 OK", r#"{"data": [], "total": {}}"#);
        let (content, _, errors) = run(&url, arguments);
        assert!(content, "{arguments}: {errors}");
        assert_eq!(normal(&asked.join().unwrap()), normal(want), "{arguments}");
    }
}

/// Fields of JSON come in any order.
fn normal(line: &str) -> (String, serde_json::Value) {
    let (head, body) = line.split_once(" {").unwrap_or((line, "}"));
    let body = format!("{{{body}");
    (head.to_owned(), serde_json::from_str(&body).unwrap())
}

#[test]
fn answers_are_tables_or_json() {
    let accounts = r#"{"data": [{"scope": "team:t", "budget": "", "window": "month", "mode": "hard", "limit": "100",
        "spent": "20", "held": "1.5", "presumed": "0", "available": "78.5", "resets": "2026-12-01T00:00:00Z"}]}"#;
    let (url, _asked) = answering("200 OK", accounts);
    let (_, table, _) = run(&url, "accounts");
    let want = "SCOPE   BUDGET  WINDOW  MODE  LIMIT  SPENT  HELD  PRESUMED  AVAILABLE  RESETS\n\
                team:t  -       month   hard  100    20     1.5   0         78.5       2026-12-01T00:00:00Z\n";
    assert_eq!(table, want);
    let (url, _asked) = answering("200 OK", accounts);
    let (_, json, _) = run(&url, "accounts --output json");
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(rows[0]["held"], "1.5");
}

#[test]
fn a_new_secret_is_on_standard_output_and_the_warning_is_not() {
    let (url, _asked) = answering("201 Created", r#"{"name": "bot", "secret": "sk-tg-new"}"#);
    let (_, out, errors) = run(&url, "keys create bot");
    assert_eq!(out, "name    bot\nsecret  sk-tg-new\n");
    assert_eq!(
        errors,
        "The secret is shown this once: only its hash is kept.\n"
    );
}

#[test]
fn what_is_refused_is_told_with_its_cure() {
    let reply = r#"{"error": {"code": "invalid_body", "message": "x", "fix": "y", "problems": [
        {"at": "time_zone", "message": "no time zone is named `Berlin`", "fix": "write `Europe/Berlin`"},
        {"at": "max_budget", "message": "`ten` is not an amount of dollars", "fix": "write dollars as decimals: `100`"}]}}"#;
    let (url, _asked) = answering("400 Bad Request", reply);
    let (content, out, errors) = run(&url, "budgets set team:t max_budget=ten time_zone=Berlin");
    assert!(!content && out.is_empty());
    assert_eq!(
        errors,
        "tollgate: time_zone: no time zone is named `Berlin`\n  fix: write `Europe/Berlin`\n\
         max_budget: `ten` is not an amount of dollars\n  fix: write dollars as decimals: `100`\n"
    );
    let (url, _asked) = answering("200 OK", "<html>");
    let (_, _, errors) = run(&url, "keys list");
    assert!(errors.contains("is no budget service"), "{errors}");
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (content, _, errors) = run(&format!("http://{nobody}"), "keys list");
    assert!(!content && errors.contains("fix: start it"), "{errors}");
}
