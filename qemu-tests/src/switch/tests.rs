use super::*;
use std::io::Write;
use std::time::Duration;

struct Guest {
    stream: UnixStream,
    reader: FrameReader<UnixStream>,
    number: u8,
}

impl Guest {
    fn plug(dir: &Path, number: u8) -> Self {
        let stream = UnixStream::connect(port_socket(dir, &format!("node-{number}"))).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let reader = FrameReader::new(stream.try_clone().unwrap());
        Self { stream, reader, number }
    }

    /// Sends a broadcast with `text`.
    fn say(&mut self, text: &str) {
        let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, self.number], &[8, 0], text.as_bytes()].concat();
        let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
        self.stream.write_all(&[&length[..], &frame].concat()).unwrap();
    }

    fn hear(&mut self) -> String {
        String::from_utf8(self.reader.next().unwrap().unwrap()[14..].to_vec()).unwrap()
    }
}

fn switch(dir: &Path) -> Control {
    Switch::start(dir, &["node-1", "node-2", "node-3"].map(str::to_owned)).unwrap();
    Control::new(dir)
}

/// Waits until the switch has taken in as many guests; connecting is done before accepting is.
fn wait_connected(control: &Control, count: usize) {
    maekin_host::wait::until("guests", Duration::from_secs(10), Duration::from_millis(5), || {
        (control.status().unwrap().matches("connected").count() == count).then_some(())
    })
    .unwrap();
}

#[test]
fn frames_pass_until_the_cable_is_pulled() {
    let dir = tempfile::tempdir().unwrap();
    let control = switch(dir.path());
    let (mut a, mut b, mut c) =
        (Guest::plug(dir.path(), 1), Guest::plug(dir.path(), 2), Guest::plug(dir.path(), 3));
    wait_connected(&control, 3);
    a.say("one");
    assert_eq!((b.hear(), c.hear()), ("one".to_owned(), "one".to_owned()));

    control.set_up("node-2", false).unwrap();
    a.say("two");
    assert_eq!(c.hear(), "two");
    control.set_up("node-2", true).unwrap();
    a.say("three");
    assert_eq!((b.hear(), c.hear()), ("three".to_owned(), "three".to_owned()), "b never heard two");

    control.partition(&[&["node-1", "node-3"]]).unwrap();
    a.say("four");
    assert_eq!(c.hear(), "four");
    control.heal().unwrap();
    c.say("five");
    assert_eq!((a.hear(), b.hear()), ("five".to_owned(), "five".to_owned()), "b never heard four");
}

#[test]
fn a_guest_started_again_has_its_port_again() {
    let dir = tempfile::tempdir().unwrap();
    let control = switch(dir.path());
    let mut a = Guest::plug(dir.path(), 1);
    let b = Guest::plug(dir.path(), 2);
    wait_connected(&control, 2);
    drop(b);
    wait_connected(&control, 1);
    let mut b = Guest::plug(dir.path(), 2);
    wait_connected(&control, 2);
    a.say("again");
    assert_eq!(b.hear(), "again");
}

#[test]
fn a_guest_that_does_not_read_loses_frames_and_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let control = switch(dir.path());
    let (mut a, _deaf, mut c) =
        (Guest::plug(dir.path(), 1), Guest::plug(dir.path(), 2), Guest::plug(dir.path(), 3));
    wait_connected(&control, 3);
    let text = "x".repeat(1400);
    for _ in 0..4 * QUEUE {
        a.say(&text);
        assert_eq!(c.hear().len(), text.len());
    }
    let status = control.status().unwrap();
    let dropped = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.rsplit_once('=').unwrap().1.parse::<u64>().unwrap()
    };
    assert!(dropped("node-2") > 0, "{status}");
    assert_eq!(dropped("node-3"), 0, "{status}");
}

#[test]
fn commands_that_make_no_sense_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let control = switch(dir.path());
    let rows = [
        ("unknown port", control.set_up("node-9", true), "node-9"),
        ("port name that is a path", control.add("../x"), "letters, digits and hyphens"),
        ("empty port name", control.add(""), "letters, digits and hyphens"),
    ];
    for (name, result, part) in rows {
        let err = result.unwrap_err();
        assert!(format!("{err:#}").contains(part), "{name}: {err:#}");
    }
}
