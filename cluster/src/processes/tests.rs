//! Processes that find each other, as threads of one test. What needs real processes is tested in
//! `tests/tests/processes.rs`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::handshake::{Failure, Hello, Purpose, call};
use super::words::Word;
use super::*;

/// An address at which nobody listens. Its port is not among those that the system gives to connections.
fn free_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(89).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let address = format!("127.0.0.1:{}", 10_000 + number % 2_000);
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// A host file of so many processes on free ports.
fn hosts(count: usize) -> Hosts {
    let lines: String = (0..count).map(|_| format!("{}\n", free_address())).collect();
    Hosts::parse(Path::new("hosts"), &lines).unwrap()
}

fn key() -> Key {
    Key::new(b"the key of the tests")
}

/// A process to come, and the notes it makes.
fn joining(hosts: &Hosts, process: usize) -> (Joining, Arc<Mutex<Vec<String>>>) {
    let notes: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&notes);
    let joining = Joining {
        hosts: hosts.clone(),
        process,
        key: Some(key()),
        workers: 1,
        timeout: Duration::from_secs(20),
        agreement: vec![("plan".into(), "a plan".into())],
        stop: Arc::new(AtomicBool::new(false)),
        note: Arc::new(move |note| kept.lock().unwrap().push(note.to_owned())),
        on_loss: Arc::new(|_| {}),
    };
    (joining, notes)
}

fn start(joining: Joining) -> JoinHandle<Result<Processes>> {
    std::thread::spawn(move || Processes::connect(joining))
}

fn error(process: JoinHandle<Result<Processes>>) -> String {
    process.join().unwrap().map(|_| "no error").unwrap_err().to_string()
}

/// Calls the listener of a process, which may not be there yet.
fn reach(hosts: &Hosts, process: usize) -> TcpStream {
    let began = Instant::now();
    loop {
        match TcpStream::connect(hosts.address(process)) {
            Ok(stream) => return stream,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn all_find_all_in_any_order() {
    let hosts = hosts(4);
    let started: Vec<_> = [2, 0, 3, 1].map(|process| start(joining(&hosts, process).0)).into_iter().collect();
    let connected: Vec<Processes> = started.into_iter().map(|process| process.join().unwrap().unwrap()).collect();
    assert!(connected.iter().all(|processes| processes.processes() == 4 && processes.all_workers() == 4));
    // Nobody listens any more.
    assert!((0..4).all(|process| TcpStream::connect(hosts.address(process)).is_err()));
    let finishing: Vec<_> =
        connected.into_iter().map(|processes| std::thread::spawn(move || processes.finish(Ok(())))).collect();
    assert!(finishing.into_iter().all(|process| process.join().unwrap().is_ok()));
}

#[test]
fn one_process_needs_nobody() {
    let hosts = hosts(1);
    let (alone, _) = joining(&hosts, 0);
    assert_eq!(Processes::connect(Joining { key: None, ..alone.clone() }).unwrap().processes(), 1);
    let message = Processes::connect(Joining { process: 1, ..alone }).unwrap_err().to_string();
    assert!(message.contains("the host file has 1 line"), "{message}");
}

#[test]
fn numbers_keys_and_ports_are_checked_first() {
    let hosts = hosts(2);
    let (first, _) = joining(&hosts, 0);
    let refused = |joining: Joining, words: &[&str]| {
        let message = Processes::connect(joining).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    refused(Joining { process: 2, ..first.clone() }, &["--process 2", "2 lines", "processes 0 to 1"]);
    refused(Joining { key: None, ..first.clone() }, &["--key-file"]);
    let taken = TcpListener::bind(hosts.address(0)).unwrap();
    refused(first.clone(), &[&hosts.address(0), "taken", "running already"]);
    drop(taken);
    let elsewhere = Hosts::parse(Path::new("hosts"), "192.0.2.1:7700\n127.0.0.1:1\n").unwrap();
    refused(Joining { hosts: elsewhere, ..first.clone() }, &["192.0.2.1", "no address of this machine"]);
    let nowhere = Hosts::parse(Path::new("hosts"), "no-such-host.invalid:7700\n127.0.0.1:1\n").unwrap();
    refused(Joining { hosts: nowhere, ..first }, &["no-such-host.invalid"]);
}

#[test]
fn who_never_comes_is_named() {
    let hosts = hosts(3);
    let short = |process| Joining { timeout: Duration::from_millis(300), ..joining(&hosts, process).0 };
    let (first, third) = (start(short(0)), start(short(2)));
    let messages = [error(first), error(third)];
    // Whichever gave up first told the other.
    let missing = hosts.name(1);
    assert!(messages.iter().all(|message| message.contains(&missing)), "{messages:?}");
    assert!(messages.iter().any(|message| message.contains("--connect-timeout")), "{messages:?}");
}

#[test]
fn what_differs_is_said_on_both_sides() {
    let hosts = hosts(2);
    for label in ["plan", "number of workers", "address of process 1"] {
        let (mut other, _) = joining(&hosts, 1);
        match label {
            "plan" => other.agreement[0].1 = "no plan".into(),
            "number of workers" => other.workers = 3,
            _ => {
                let lines = format!("{}\n{}\n", hosts.address(0), free_address());
                other.hosts = Hosts::parse(Path::new("hosts"), &lines).unwrap();
            }
        }
        let messages = [error_of_both(joining(&hosts, 0).0, other)].concat();
        assert!(messages.iter().all(|message| message.contains(label)), "{label}: {messages:?}");
        assert!(messages[0].contains("process 1") && messages[1].contains("process 0"), "{label}: {messages:?}");
        if label == "plan" {
            assert!(messages.iter().all(|text| text.contains("no plan") && text.contains("a plan")), "{messages:?}");
        }
    }
}

fn error_of_both(one: Joining, other: Joining) -> Vec<String> {
    [start(one), start(other)].map(error).to_vec()
}

#[test]
fn another_key_is_refused() {
    let hosts = hosts(2);
    let (first, notes) = joining(&hosts, 0);
    let first = start(Joining { timeout: Duration::from_secs(2), ..first });
    let (second, _) = joining(&hosts, 1);
    let message = error(start(Joining { key: Some(Key::new(b"another key of 20 b.")), ..second }));
    assert!(message.contains(&hosts.name(0)) && message.contains("--key-file"), "{message}");
    assert!(error(first).contains(&hosts.name(1)));
    let notes = notes.lock().unwrap();
    assert!(!notes.is_empty() && notes.iter().all(|note| note.contains("it does not have the key")), "{notes:?}");
}

#[test]
fn of_two_processes_with_one_number_the_second_is_refused() {
    let hosts = hosts(3);
    let (first, notes) = joining(&hosts, 0);
    let first = start(first);
    // Two that have the key and call themselves process 1: the first is let in, the second is told why it is not.
    let calling = |run: u8| {
        let mut stream = reach(&hosts, 0);
        let hello = Hello { purpose: Purpose::Control, caller: 1, callee: 0, run: [run; 16] };
        let session = call(&mut stream, &key(), &hello).unwrap();
        let mut writer = session.writer(stream.try_clone().unwrap());
        writer.send(&Word::Agreement { clock: 0, values: agreed(&hosts) }.encode()).unwrap();
        let mut reader = session.reader(stream.try_clone().unwrap());
        (Word::decode(&reader.receive().unwrap()).unwrap(), stream)
    };
    let (welcome, kept) = calling(1);
    assert!(matches!(welcome, Word::Agreement { .. }), "{welcome:?}");
    let (refusal, _) = calling(2);
    let Word::Refusal(why) = refusal else { panic!("{refusal:?}") };
    assert!(why.contains("two processes have the number 1") && why.contains("127.0.0.1"), "{why}");
    drop(kept);
    let message = error(first);
    assert!(message.contains(&hosts.name(1)) && message.contains("is gone"), "{message}");
    let notes = notes.lock().unwrap();
    assert!(notes.iter().any(|note| note.contains("two processes have the number 1")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("the clock of process 1") && note.contains("behind")), "{notes:?}");
}

/// What the processes of these tests agree on.
fn agreed(hosts: &Hosts) -> words::Agreement {
    let mut agreed = connect::terms(hosts, 1);
    agreed.push(("plan".into(), "a plan".into()));
    agreed
}

#[test]
fn numbers_that_do_not_belong_are_refused() {
    let hosts = hosts(3);
    let (first, _) = joining(&hosts, 1);
    let stop = Arc::clone(&first.stop);
    let first = start(first);
    for (caller, callee, word) in [(2, 0, "this is process 1"), (0, 1, "does not call"), (3, 1, "does not call")] {
        let mut stream = reach(&hosts, 1);
        let hello = Hello { purpose: Purpose::Control, caller, callee, run: [9; 16] };
        let session = call(&mut stream, &key(), &hello).unwrap();
        let body = session.reader(stream).receive().unwrap();
        let Some(Word::Refusal(why)) = Word::decode(&body) else { panic!("{body:?}") };
        assert!(why.contains(word), "{why}");
    }
    stop.store(true, Ordering::Relaxed);
    assert!(matches!(first.join().unwrap(), Err(Error::Interrupted)));
}

#[test]
fn strangers_get_nothing_and_disturb_nothing() {
    let hosts = hosts(2);
    let (first, notes) = joining(&hosts, 0);
    let first = start(first);
    let mut garbage = reach(&hosts, 0);
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = garbage.read_to_end(&mut said); // a reset is as good as an end
    assert!(said.is_empty(), "{said:?}");
    drop(reach(&hosts, 0)); // a port scan
    // A false proof.
    let mut stream = reach(&hosts, 0);
    let hello = Hello { purpose: Purpose::Data, caller: 1, callee: 0, run: [9; 16] };
    let failed = call(&mut stream, &Key::new(b"another key of 20 b."), &hello);
    assert!(matches!(failed, Err(Failure::NoKey)));
    // More than there is room for, all of them silent: the oldest have to go.
    let mut silent: Vec<TcpStream> = (0..100).map(|_| reach(&hosts, 0)).collect();
    silent[0].set_read_timeout(Some(Duration::from_secs(4))).unwrap(); // less than a handshake may take
    assert!(matches!(silent[0].read(&mut [0; 1]), Ok(0)), "the oldest is closed");
    // The right one comes in at once.
    let began = Instant::now();
    let second = Processes::connect(joining(&hosts, 1).0).unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let first = first.join().unwrap().unwrap();
    let finishing = std::thread::spawn(move || second.finish(Ok(())));
    first.finish(Ok(())).unwrap();
    finishing.join().unwrap().unwrap();
    let notes = notes.lock().unwrap();
    for word in ["it is no walkprint process", "closed the connection too early", "does not have the key", "too many"] {
        assert!(notes.iter().any(|note| note.contains(word)), "{word}: {notes:?}");
    }
    assert!(notes.len() <= 12, "{notes:?}");
}

#[test]
fn last_words_reach_everybody() {
    let hosts = hosts(3);
    let started: Vec<_> = (0..3).map(|process| start(joining(&hosts, process).0)).collect();
    let mut connected: Vec<Processes> = started.into_iter().map(|process| process.join().unwrap().unwrap()).collect();
    let third = connected.pop().unwrap();
    let disk = Error::Request { what: "no space left on device".into() };
    assert!(third.finish(Err::<(), _>(disk)).is_err());
    for process in connected {
        let message = process.finish(Ok(())).unwrap_err().to_string();
        assert_eq!(message, format!("{} stopped: no space left on device", hosts.name(2)));
    }
}

#[test]
fn a_process_that_is_dropped_gave_up() {
    let hosts = hosts(2);
    let started = [0, 1].map(|process| start(joining(&hosts, process).0));
    // Both are connected before one gives up.
    let [first, second] = started.map(|process| process.join().unwrap().unwrap());
    drop(first);
    let message = second.finish(Ok(())).unwrap_err().to_string();
    assert_eq!(message, format!("{} stopped: it gave up", hosts.name(0)));
}
