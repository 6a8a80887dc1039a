//! What the host points at, in the header's shape, and what the engine is given, in ours.
//!
//! The engine checks arguments and says what is wrong with them in the session's log. So nothing is refused here: a null
//! or misaligned pointer becomes one to the engine, and a text that does not fit becomes one without an end.

use core::ffi::c_char;

/// A structure of ours that the engine reads or fills: plain data, for which all bits zero is a value.
///
/// # Safety
/// All bits zero must be a valid value.
pub(super) unsafe trait Plain: Copy {
    /// All zero, but for the sizes.
    fn blank() -> Self;
}

/// Implements [`Plain`] for structures with a size, their own and that of structures in them.
macro_rules! plain {
    ($($ty:ident $(. $inner:ident)*),+ $(,)?) => { $(
        // SAFETY: integers, arrays of them, null pointers and absent functions are all zero.
        unsafe impl Plain for $ty {
            fn blank() -> Self {
                // SAFETY: as above.
                let mut value: Self = unsafe { core::mem::zeroed() };
                value.size = $crate::sdk::pointers::size(&value);
                $(value.$inner.size = $crate::sdk::pointers::size(&value.$inner);)*
                value
            }
        }
    )+ };
}
pub(super) use plain;

/// `sizeof`, as the structures carry it.
pub(super) fn size<T>(_: &T) -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(0)
}

// SAFETY: a number.
unsafe impl Plain for u64 {
    fn blank() -> Self {
        0
    }
}

/// A structure of the header that the host fills and we read.
pub(super) trait Inward: Copy {
    /// Ours.
    type Ours;
    /// The same in our shape.
    ///
    /// # Safety
    /// Pointers in it are null or point at what the header says.
    unsafe fn ours(&self) -> Self::Ours;
}

/// A structure of the header that we fill.
pub(super) trait Outward: Copy {
    /// Ours.
    type Ours: Plain;
    /// The same in the header's shape.
    fn theirs(ours: &Self::Ours) -> Self;
}

/// A pointer that the engine refuses as the host's would be: null for null, misaligned for misaligned.
fn refused<H, T>(host: *const H) -> *const T {
    if host.is_null() { core::ptr::null() } else { core::ptr::without_provenance(1) }
}

/// An input of the host in our shape.
#[derive(Clone, Copy)]
pub(super) struct Given<T> {
    value: Option<T>,
    refused: *const T,
}

impl<T> Given<T> {
    /// The value itself; `None` if the pointer was null or misaligned.
    pub(super) fn value(self) -> Option<T> {
        self.value
    }

    /// For the engine.
    pub(super) fn pointer(&self) -> *const T {
        self.value.as_ref().map_or(self.refused, core::ptr::from_ref)
    }
}

/// Reads an input.
///
/// # Safety
/// If not null and aligned, `host` points at an `H` as the header describes it.
pub(super) unsafe fn given<H: Inward>(host: *const H) -> Given<H::Ours> {
    let readable = !host.is_null() && host.is_aligned();
    // SAFETY: not null, aligned; the rest is the caller's promise.
    let value = readable.then(|| unsafe { host.read().ours() });
    Given { value, refused: refused(host) }
}

/// An output of the host, and ours that the engine fills first.
pub(super) struct Wanted<H: Outward> {
    host: *mut H,
    ours: H::Ours,
}

/// Prepares an output.
///
/// # Safety
/// If not null and aligned, `host` points at memory for an `H`.
pub(super) unsafe fn wanted<H: Outward>(host: *mut H) -> Wanted<H> {
    Wanted { host, ours: H::Ours::blank() }
}

impl<H: Outward> Wanted<H> {
    /// For the engine.
    pub(super) fn pointer(&mut self) -> *mut H::Ours {
        if self.host.is_null() || !self.host.is_aligned() {
            return refused::<H, H::Ours>(self.host).cast_mut();
        }
        &raw mut self.ours
    }

    /// Hands the result on; to be called after success only, when the engine has accepted [`Self::pointer`].
    pub(super) fn hand_on(self) {
        if !self.host.is_null() && self.host.is_aligned() {
            // SAFETY: not null, aligned; the rest is the promise made to `wanted`.
            unsafe { self.host.write(H::theirs(&self.ours)) }
        }
    }
}

/// Text of an array for one of another length. What does not fit has no end, which the engine refuses.
pub(super) fn text<const N: usize>(from: &[c_char]) -> [c_char; N] {
    let length = from.iter().position(|c| *c == 0);
    match length.and_then(|length| from.get(..length)) {
        Some(text) if text.len() < N => {
            let mut array = [0; N];
            array.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
            array
        }
        _ => [1; N],
    }
}

/// Text of the engine for the host, cut where the host's array ends.
pub(super) fn cut<const N: usize>(from: &[c_char]) -> [c_char; N] {
    let mut array = [0; N];
    let room = N.saturating_sub(1);
    let text = from.iter().take_while(|c| **c != 0);
    array.iter_mut().take(room).zip(text).for_each(|(to, from)| *to = *from);
    array
}

/// Text behind a pointer, null meaning empty. What does not fit has no end, which the engine refuses.
///
/// # Safety
/// `from` is null or points at bytes up to and including a NUL, or at least `N` bytes.
pub(super) unsafe fn text_at<const N: usize>(from: *const c_char) -> [c_char; N] {
    let mut array = [0; N];
    if from.is_null() {
        return array;
    }
    for (at, to) in array.iter_mut().enumerate() {
        // SAFETY: nothing before this byte was a NUL, and it is within `N`.
        *to = unsafe { from.add(at).read() };
        if *to == 0 {
            return array;
        }
    }
    [1; N]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_does_not_fit_has_no_end_and_is_never_cut_on_its_way_in() {
        let name = [b'a', b'b', 0, 9].map(u8::cast_signed);
        assert_eq!(text::<3>(&name), [97, 98, 0]);
        assert!(!text::<2>(&name).contains(&0));
        assert!(!text::<8>(&[97; 4]).contains(&0), "an array without an end stays one");
        assert_eq!(cut::<2>(&name), [97, 0]);
        // SAFETY: the array ends with a NUL.
        unsafe {
            assert_eq!(text_at::<4>(name.as_ptr()), [97, 98, 0, 0]);
            assert!(!text_at::<2>(name.as_ptr()).contains(&0));
            assert_eq!(text_at::<2>(core::ptr::null()), [0, 0]);
        }
    }
}
