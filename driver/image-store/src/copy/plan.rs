//! Which segments a copy consists of: each once, in the order of writers and indices.

use std::collections::HashMap;

use crate::layout::{WriterId, segment_key};
use crate::manifest::Extent;
use crate::segment::{Series, Shape};

/// One segment to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Job {
    /// What it is in the source.
    pub(super) shape: Shape,
    /// The writer under which its copy lies.
    pub(super) to: WriterId,
}

impl Job {
    pub(super) fn source_key(&self) -> String {
        segment_key(self.shape.series.writer, self.shape.index)
    }

    pub(super) fn target_key(&self) -> String {
        segment_key(self.to, self.shape.index)
    }
}

/// Segments of an extent that no earlier run has.
#[derive(Debug)]
struct Run {
    extent: Extent,
    to: WriterId,
    /// The next one, counted within the extent.
    next: u32,
}

/// The segments of a copy. Holds runs, not segments.
#[derive(Debug)]
pub(super) struct Plan {
    /// The last one first.
    runs: Vec<Run>,
}

impl Plan {
    /// `None` if the extents have a writer that `writers` does not map.
    pub(super) fn new(extents: &[Extent], writers: &[(WriterId, WriterId)]) -> Option<Self> {
        let writers: HashMap<WriterId, WriterId> = writers.iter().copied().collect();
        let mut extents = extents.to_vec();
        extents.sort_by_key(|extent| (extent.series.writer, extent.first));
        let mut runs = Vec::new();
        let mut reached: Option<(WriterId, u32)> = None;
        for extent in extents {
            let (writer, end) = (extent.series.writer, extent.first + extent.count);
            let before = reached.filter(|(of, _)| *of == writer).map_or(0, |(_, end)| end);
            let next = before.saturating_sub(extent.first);
            if next < extent.count {
                runs.push(Run { extent, to: *writers.get(&writer)?, next });
                reached = Some((writer, end));
            }
        }
        runs.reverse();
        Some(Self { runs })
    }

    pub(super) fn next(&mut self) -> Option<Job> {
        let run = self.runs.last_mut()?;
        let job = Job { shape: run.extent.piece(run.next).shape, to: run.to };
        run.next += 1;
        if run.next == run.extent.count {
            self.runs.pop();
        }
        Some(job)
    }
}

/// The extents of the copy.
pub(super) fn translated(extents: &[Extent], writers: &[(WriterId, WriterId)]) -> Option<Vec<Extent>> {
    let writers: HashMap<WriterId, WriterId> = writers.iter().copied().collect();
    let copies = extents.iter().map(|extent| {
        let writer = *writers.get(&extent.series.writer)?;
        Some(Extent { series: Series { writer, ..extent.series }, ..*extent })
    });
    copies.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_segment_is_copied_once() {
        let (one, two) = (WriterId([1; 16]), WriterId([2; 16]));
        let extent = |writer, first, count| Extent {
            series: Series { writer, origin: writer, block_size: 4 },
            first,
            count,
            segment_size: 10,
            last_size: 10,
            skip: 0,
            length: u64::from(count) * 10,
        };
        let extents =
            [extent(two, 3, 2), extent(one, 5, 3), extent(one, 0, 2), extent(one, 1, 1), extent(one, 6, 5)];
        let mapping = [(one, WriterId([8; 16])), (two, WriterId([9; 16]))];
        let mut plan = Plan::new(&extents, &mapping).unwrap();
        let jobs: Vec<_> =
            std::iter::from_fn(|| plan.next()).map(|job| (job.to.0[0], job.shape.index)).collect();
        let expected = [0, 1, 5, 6, 7, 8, 9, 10].map(|index| (8, index)).into_iter();
        assert_eq!(jobs, expected.chain([(9, 3), (9, 4)]).collect::<Vec<_>>());
        assert!(Plan::new(&extents, &mapping[..1]).is_none());
    }
}
