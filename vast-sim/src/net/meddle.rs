//! A body that faults meddle with on its way: changed, held up, cut short, at given offsets.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use s3s::StdError;

use super::conn::{Behind, Ending, ResetNow};
use crate::clock::Clock;
use crate::faults::{Hit, Lane};
use crate::metrics::RequestMeter;
use crate::qos::{Passage, Rate};
use crate::store::blob::to_usize;

/// What happens when an offset is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The byte at the offset is changed.
    Corrupt,
    /// The body ends here, as if its sender had sent no more.
    End,
    /// The connection is reset at once.
    Reset,
    /// The connection ends when all bytes before this one are written.
    Last(Behind),
    /// Nothing moves for this time; none for ever.
    Stall(Option<Duration>),
}

/// A line that bytes wait in.
#[derive(Debug)]
struct Line {
    lane: Arc<Lane>,
    rate: Rate,
    /// Bytes that pass beside it.
    free: u64,
    /// Who is told how long the wait was.
    meter: Option<Arc<RequestMeter>>,
    /// The fault that it is from.
    hit: Option<Hit>,
}

impl Line {
    /// Books the bytes from `from` to `to` of the body; gives how long they take.
    fn book(&self, clock: &dyn Clock, from: u64, to: u64) -> Duration {
        self.hit.iter().for_each(Hit::happened);
        match to.saturating_sub(from.max(self.free)) {
            0 => Duration::ZERO,
            bytes => self.lane.book(clock, bytes, self.rate.per_second, self.rate.burst),
        }
    }
}

/// Everything that shall happen to one body.
#[derive(Debug, Default)]
pub(crate) struct Meddling {
    events: Vec<(u64, Event, Hit)>,
    /// Shared limits in bytes.
    lanes: Vec<Line>,
    announced: Announced,
}

/// What the answer's headers say about the length of its body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Announced {
    /// The truth.
    #[default]
    Truly,
    /// Nothing.
    Nothing,
    /// This, whatever the truth is.
    As(u64),
}

/// Most bytes that pass at a time under a bandwidth limit, so that they trickle; under a slow fault, those of 50 ms.
const SIP: u64 = 64 << 10;

impl Meddling {
    pub(crate) fn at(&mut self, offset: u64, event: Event, hit: Hit) {
        self.events.push((offset, event, hit));
    }

    pub(crate) fn no_faster_than(&mut self, lane: Arc<Lane>, bytes_per_second: u64, hit: Hit) {
        let rate = Rate { per_second: bytes_per_second, burst: 0 };
        self.lanes.push(Line { lane, rate, free: 0, meter: None, hit: Some(hit) });
    }

    /// Leads the body through a line of a `QoS` policy.
    pub(crate) fn through(&mut self, passage: Passage, meter: &Arc<RequestMeter>) {
        let Passage { lane, rate, free } = passage;
        self.lanes.push(Line { lane, rate, free, meter: Some(Arc::clone(meter)), hit: None });
    }

    pub(crate) fn announced(&mut self, announced: Announced) {
        self.announced = announced;
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.events.is_empty() && self.lanes.is_empty() && self.announced == Announced::Truly
    }

    /// The faults that a body of this length will meet.
    pub(crate) fn coming(&self, length: &SizeHint) -> Vec<u64> {
        let reached = |offset: u64| length.upper().is_none_or(|end| offset < end);
        let events = self.events.iter().filter(|(offset, ..)| reached(*offset)).map(|(_, _, hit)| hit);
        let lanes = self.lanes.iter().filter(|_| reached(0)).filter_map(|line| line.hit.as_ref());
        events.chain(lanes).map(Hit::fault_id).collect()
    }

    /// Applies this to a body.
    pub(crate) fn to<B>(mut self, body: B, clock: Arc<dyn Clock>, ending: Ending) -> Meddled<B> {
        // Later ones first: the next one is taken from the end.
        self.events.sort_by_key(|(offset, ..)| std::cmp::Reverse(*offset));
        Meddled {
            body,
            clock,
            ending,
            meddling: self,
            passed: 0,
            left: Bytes::new(),
            held: None,
            wait: None,
            ended: false,
        }
    }
}

/// A body under [`Meddling`].
pub(crate) struct Meddled<B> {
    body: B,
    clock: Arc<dyn Clock>,
    ending: Ending,
    meddling: Meddling,
    passed: u64,
    /// Arrived, not yet passed on.
    left: Bytes,
    /// What is passed on when the wait is over.
    held: Option<Bytes>,
    wait: Option<BoxFuture<'static, ()>>,
    ended: bool,
}

impl<B> Meddled<B> {
    /// Bytes until something happens; at least one is passed on at a time.
    fn until_next(&self) -> usize {
        let to_event =
            self.meddling.events.last().map_or(u64::MAX, |(at, ..)| at.saturating_sub(self.passed));
        let slow = |line: &Line| if line.hit.is_some() { line.rate.per_second / 20 } else { SIP };
        let sip = self.meddling.lanes.iter().map(|line| slow(line).clamp(1, SIP)).min();
        to_usize(to_event.min(sip.unwrap_or(u64::MAX)))
    }

    /// Takes the next bytes; they may pass when their time is over.
    fn sip(&mut self) {
        let data = self.left.split_to(self.until_next().min(self.left.len()).max(1));
        let from = self.passed;
        self.passed += data.len() as u64;
        let lines = self.meddling.lanes.iter();
        let longest = lines.map(|l| (l.book(&*self.clock, from, self.passed), l)).max_by_key(|(p, _)| *p);
        if let Some((pause, line)) = longest.filter(|(pause, _)| !pause.is_zero()) {
            if let Some(meter) = &line.meter {
                meter.waited(pause);
            }
            self.wait = Some(self.clock.sleep(pause));
        }
        self.held = Some(data);
    }

    /// Gives no more, so that everything so far is written, and has the connection end then.
    fn end_behind(&mut self, cx: &Context<'_>, how: Behind) -> Poll<Option<Result<Bytes, StdError>>> {
        self.ending.end_behind(how);
        self.wait = Some(Box::pin(std::future::pending()));
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Lets what is due at this place happen: an answer for the poll, or none to go on.
    fn happen(&mut self, cx: &Context<'_>) -> Option<Poll<Option<Result<Bytes, StdError>>>> {
        let (at, event, hit) = self.meddling.events.last()?;
        if *at > self.passed || self.left.is_empty() {
            return None; // The byte at the offset is not here yet, and may never come.
        }
        let event = *event;
        hit.happened();
        self.meddling.events.pop();
        match event {
            Event::Corrupt => {
                let mut changed = BytesMut::from(&self.left[..]);
                changed[0] ^= 0x20;
                self.left = changed.freeze();
                None
            }
            Event::End => {
                self.ended = true;
                Some(Poll::Ready(None))
            }
            Event::Reset => {
                self.ended = true;
                let reset: ResetNow = self.ending.reset();
                Some(Poll::Ready(Some(Err(Box::new(reset)))))
            }
            Event::Last(how) => Some(self.end_behind(cx, how)),
            Event::Stall(None) => {
                self.wait = Some(Box::pin(std::future::pending()));
                cx.waker().wake_by_ref();
                Some(Poll::Pending)
            }
            Event::Stall(Some(time)) => {
                self.wait = Some(self.clock.sleep(time));
                cx.waker().wake_by_ref();
                Some(Poll::Pending)
            }
        }
    }
}

impl<B> Body for Meddled<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<StdError>,
{
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let this = &mut *self;
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            if let Some(wait) = &mut this.wait {
                ready!(wait.as_mut().poll(cx));
                this.wait = None;
            }
            if let Some(data) = this.held.take() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if let Some(polled) = this.happen(cx) {
                return polled.map(|end| end.map(|result| result.map(Frame::data)));
            }
            if !this.left.is_empty() {
                this.sip();
                continue;
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.left = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => {
                    if matches!(this.meddling.announced, Announced::As(length) if length > this.passed) {
                        // Ending the body would have hyper drop what it holds.
                        return this.end_behind(cx, Behind::Close).map(|_| None);
                    }
                    this.ended = true;
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// What was announced: meddling shows in what arrives.
    fn size_hint(&self) -> SizeHint {
        match self.meddling.announced {
            Announced::Truly => self.body.size_hint(),
            // Hyper goes by the headers then.
            Announced::Nothing | Announced::As(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::clock::SimClock;
    use crate::faults::{Effect, Fault, Faults, Plane, Request};

    fn faults() -> Faults {
        Faults::new(Arc::new(SimClock::ticking()))
    }

    /// A turn of some fault.
    fn hit(faults: &Faults) -> Hit {
        faults.add(Fault::s3(Effect::AnswerLost)).unwrap();
        faults.take(&Request { plane: Plane::S3, ..Request::vms("PutObject") }).pop().unwrap().hit
    }

    async fn through(meddling: Meddling, chunks: &[usize]) -> (Vec<u8>, bool) {
        let data: Vec<Bytes> = chunks.iter().map(|n| Bytes::from(vec![b'a'; *n])).collect();
        let frames = futures::stream::iter(data).map_ok();
        let clock = Arc::new(SimClock::ticking());
        let mut body = meddling.to(StreamBody::new(frames), clock, Ending::default());
        let mut out = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => out.extend_from_slice(frame.data_ref().unwrap()),
                Err(_) => return (out, false),
            }
        }
        (out, true)
    }

    trait MapOk: Sized {
        fn map_ok(self) -> futures::stream::BoxStream<'static, Result<Frame<Bytes>, StdError>>;
    }

    impl<S: futures::Stream<Item = Bytes> + Send + 'static> MapOk for S {
        fn map_ok(self) -> futures::stream::BoxStream<'static, Result<Frame<Bytes>, StdError>> {
            use futures::StreamExt as _;
            self.map(|b| Ok(Frame::data(b))).boxed()
        }
    }

    #[tokio::test]
    async fn events_happen_at_their_offsets_however_the_bytes_are_cut() {
        for chunks in [&[10usize][..], &[3, 3, 4], &[1; 10]] {
            for offset in 0..10u64 {
                let place = to_usize(offset);
                let one = |event| {
                    let (mut meddling, faults) = (Meddling::default(), faults());
                    meddling.at(offset, event, hit(&faults));
                    (meddling, faults)
                };
                let (corrupt, faults) = one(Event::Corrupt);
                let mut expected = vec![b'a'; 10];
                expected[place] = b'A';
                assert_eq!(through(corrupt, chunks).await, (expected, true), "{offset} of {chunks:?}");
                assert_eq!(faults.hits(), 1);
                let (mut end, faults) = one(Event::End);
                end.at(offset + 1, Event::Corrupt, hit(&faults));
                assert_eq!(through(end, chunks).await, (vec![b'a'; place], true));
                assert_eq!(faults.hits(), 1, "nothing happens behind the end");
                let (reset, _) = one(Event::Reset);
                assert_eq!(through(reset, chunks).await, (vec![b'a'; place], false));
            }
            for event in [Event::Corrupt, Event::End, Event::Reset, Event::Stall(None)] {
                let (mut beyond, faults) = (Meddling::default(), faults());
                beyond.at(10, event, hit(&faults));
                assert_eq!(beyond.coming(&SizeHint::with_exact(10)), Vec::<u64>::new());
                assert_eq!(beyond.coming(&SizeHint::with_exact(11)), [1]);
                assert_eq!(through(beyond, chunks).await, (vec![b'a'; 10], true));
                assert_eq!((faults.hits(), faults.list()[0].hits), (0, 0));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_shared_lane_takes_as_long_as_its_rate_says() {
        let lane = Arc::new(Lane::default());
        let start = tokio::time::Instant::now();
        let mut limited = Meddling::default();
        let faults = faults();
        limited.no_faster_than(Arc::clone(&lane), 1_000_000, hit(&faults));
        limited.at(5, Event::Stall(Some(Duration::from_secs(3))), hit(&faults));
        let (out, whole) = through(limited, &[500_000, 500_000]).await;
        assert_eq!((out.len(), whole), (1_000_000, true));
        let took = start.elapsed();
        assert!((Duration::from_millis(3_900)..Duration::from_millis(4_200)).contains(&took), "{took:?}");
    }
}
