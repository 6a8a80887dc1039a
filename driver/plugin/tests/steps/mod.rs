//! Hosts that do one step at a time: each is a process of its own, so a test can have several look at one image.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::host::{World, host_program};

/// A host process that waits for its next step.
pub(crate) struct Steps {
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

/// What a step came to.
#[derive(Debug)]
pub(crate) struct Answer(BTreeMap<String, u64>);

impl Answer {
    /// The number of that name.
    pub(crate) fn get(&self, name: &str) -> u64 {
        *self.0.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub(crate) fn code(&self) -> i32 {
        i32::try_from(self.get("code")).unwrap()
    }
}

impl Steps {
    /// A host with one server open.
    pub(crate) fn start(world: &World, library: &str) -> Self {
        let mut process = Command::new(host_program())
            .args(world.common(library, "steps"))
            .env("VAST_OST_CONFIG", world.config_path())
            .env("HOST_QUIET", std::env::var("HOST_QUIET").unwrap_or_else(|_| "1".to_owned()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut host = Self { process, input, output };
        host.answer("open_server");
        host
    }

    fn answer(&mut self, step: &str) -> Answer {
        loop {
            let line = self.output.next().unwrap_or_else(|| panic!("the host ended at {step}")).unwrap();
            if line.starts_with("code=") {
                let values = line.split_whitespace().map(|word| word.split_once('=').unwrap());
                return Answer(values.map(|(name, v)| (name.to_owned(), v.parse().unwrap())).collect());
            }
        }
    }

    /// Does a step: `NAME SLOT TEXT NUMBER...`, see `steps.c`.
    pub(crate) fn step(&mut self, step: &str) -> Answer {
        writeln!(self.input.as_mut().unwrap(), "{step}").unwrap();
        self.answer(step)
    }

    /// Does a step that must end with this code.
    #[track_caller]
    pub(crate) fn gives(&mut self, code: i32, step: &str) -> Answer {
        let answer = self.step(step);
        assert_eq!(answer.code(), code, "{step}: {answer:?}");
        answer
    }

    /// Does a step that must succeed.
    #[track_caller]
    pub(crate) fn ok(&mut self, step: &str) -> Answer {
        self.gives(ost_abi::STS_EOK, step)
    }

    /// Kills the process: it closes nothing.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Does a step until it gives another code than this one; gives that.
    #[track_caller]
    pub(crate) fn while_it_gives(&mut self, code: i32, step: &str) -> Answer {
        for _ in 0..600 {
            let answer = self.step(step);
            if answer.code() != code {
                return answer;
            }
        }
        panic!("{step}: {code} for ever");
    }

    /// Closes the server and ends the process, which must find everything in order.
    pub(crate) fn end(mut self) {
        drop(self.input.take());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        // Only where a test failed: the process would wait for ever.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Lets time pass for the cluster and for the processes given.
pub(crate) fn pass(world: &World, seconds: u64, hosts: &mut [&mut Steps]) {
    world.cluster.advance(Duration::from_secs(seconds)).unwrap();
    for host in hosts {
        host.ok(&format!("clock 0 - {seconds}"));
    }
}

/// Bytes `from..from + length` of stream `seed`, as the host writes them.
pub(crate) fn pattern(seed: u64, from: u64, length: u64) -> Vec<u8> {
    let byte = |at: u64| {
        let x = (at / 8).wrapping_add(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x ^ x >> 29).to_le_bytes()[usize::try_from(at % 8).unwrap()]
    };
    (from..from + length).map(byte).collect()
}

/// What the host says of the bytes it read.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
