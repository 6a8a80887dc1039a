//! The OpenStorage plug-in interface as this project lays it out: types, numbers, entry points, error codes
