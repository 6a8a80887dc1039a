//! bptm in an accelerated backup: data is gathered and written, pieces of the base are included by the storage.

use super::output::Output;
use super::session::{Failure, Mover};
use crate::nbu::catalog::StoredCopy;
use crate::nbu::frames::{BadFrame, Item, Unframer};
use crate::nbu::process::message::{Extent, MoverReport};
use crate::nbu::status::code;
use crate::nbu::tar_stream::BLOCK;

/// Data gathered before it is written.
const GATHERED: usize = 1 << 18;

/// A framed stream on its way into images.
#[derive(Debug)]
pub(super) struct Accelerated<'t> {
    unframer: Unframer,
    base: Option<&'t StoredCopy>,
    gathered: Vec<u8>,
}

impl<'t> Accelerated<'t> {
    pub(super) fn new(base: Option<&'t StoredCopy>) -> Self {
        Self { unframer: Unframer::default(), base, gathered: Vec::with_capacity(GATHERED) }
    }

    /// Takes what came in one buffer.
    pub(super) fn take(
        &mut self,
        mover: &mut Mover,
        output: &mut Output<'_>,
        mut bytes: &[u8],
        report: &mut MoverReport,
    ) -> Result<(), Failure> {
        while let Some(item) = self.unframer.next(&mut bytes).map_err(bad)? {
            match item {
                Item::Data(mut data) => {
                    while !data.is_empty() {
                        let (now, later) = data.split_at(data.len().min(GATHERED - self.gathered.len()));
                        self.gathered.extend_from_slice(now);
                        data = later;
                        if self.gathered.len() == GATHERED {
                            self.write(mover, output, report)?;
                        }
                    }
                }
                Item::Piece { offset, length } => {
                    self.write(mover, output, report)?;
                    let Some(base) = self.base else {
                        return Err(Failure::new(code::HANDSHAKE, "a piece of a backup that nobody named"));
                    };
                    output.include(mover, base, Extent { offset, length }, report)?;
                }
            }
        }
        Ok(())
    }

    /// Writes what is left at the end of the stream.
    pub(super) fn end(
        &mut self,
        mover: &mut Mover,
        output: &mut Output<'_>,
        report: &mut MoverReport,
    ) -> Result<(), Failure> {
        self.unframer.end().map_err(bad)?;
        self.write(mover, output, report)
    }

    fn write(
        &mut self,
        mover: &mut Mover,
        output: &mut Output<'_>,
        report: &mut MoverReport,
    ) -> Result<(), Failure> {
        if !self.gathered.len().is_multiple_of(BLOCK) {
            let what = format!("{} bytes before a piece are no whole blocks", self.gathered.len());
            return Err(Failure::new(code::HANDSHAKE, what));
        }
        let length = self.gathered.len() as u64;
        output.write(mover, &self.gathered, length, report)?;
        self.gathered.clear();
        Ok(())
    }
}

fn bad(error: BadFrame) -> Failure {
    Failure::new(code::SOCKET_READ, error)
}
