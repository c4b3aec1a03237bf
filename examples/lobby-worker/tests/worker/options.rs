//! Options, faults in them, and metrics.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::support::{TempDir, Worker};

#[test]
fn a_configuration_that_cannot_be_right_ends_it_at_once() {
    let dir = TempDir::new();
    for (text, said) in [
        ("[demo]\npaze = \"1s\"", "paze"),
        ("[consumers.user_lifecycle]\nblock_timeout = \"0s\"", "block_timeout must not be zero"),
        ("[streams]\nuser_lifecycle = \"\"", "the stream name is empty"),
        ("[redis]\nurl = \"localhost\"", "no Redis URL"),
    ] {
        let config = dir.file("lobby.toml", text);
        let mut args = vec!["--config", &config];
        let data = dir.join("data");
        if !text.contains("[redis]") {
            args.extend(["--data", &data]);
        }
        let ended = Worker::start(&args).ends();
        assert_eq!(ended.status.code(), Some(1), "{text}");
        assert!(ended.log.contains(said), "{text}: {}", ended.log);
    }
}

#[test]
fn the_password_of_a_url_is_shown_nowhere() {
    let port = free_port();
    let url = format!("redis://me:secret@127.0.0.1:{port}/0");
    let worker = Worker::start(&["--redis", &url, "--demo", "--log", "trace"]);
    worker.says("the demo feed can't go on");
    worker.terminate();
    let ended = worker.ends();
    assert!(ended.status.success(), "{}", ended.log);
    assert!(ended.log.contains(&format!("127.0.0.1:{port}")), "{}", ended.log);
    let wrong = Worker::start(&["--redis", "redis://me:secret@127.0.0.1:port"]).ends();
    assert_eq!(wrong.status.code(), Some(1));
    let misplaced = Worker::start(&[&url]).ends();
    assert_eq!(misplaced.status.code(), Some(2));
    for ended in [ended, wrong, misplaced] {
        assert!(!ended.log.contains("secret") && !ended.summary.contains("secret"), "{}", ended.log);
    }
}

#[test]
fn metrics_are_served_and_a_taken_address_is_an_error() {
    let dir = TempDir::new();
    let config = dir.file("lobby.toml", "[demo]\npace = \"0s\"");
    let (address, data) = (format!("127.0.0.1:{}", free_port()), dir.join("data"));
    let worker = Worker::start(&["--config", &config, "--data", &data, "--metrics-addr", &address]);
    worker.says("the demo feed has told its season");
    worker.says("game_id=cassiopeia-1 from_status=running to_status=finished");
    let metrics = get(&address);
    assert!(metrics.contains("lobby_game_transitions{from=\"running\",to=\"finished\""), "{metrics}");
    assert!(metrics.contains("stream_runtime_handling_seconds_bucket{"), "{metrics}");

    let other = dir.join("other");
    let second = Worker::start(&["--data", &other, "--metrics-addr", &address]).ends();
    assert_eq!(second.status.code(), Some(1));
    assert!(second.log.contains("choose a free port"), "{}", second.log);
    worker.terminate();
    assert!(worker.ends().status.success());
}

fn get(address: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
