//! libstspiVastData.so: the single-threaded plug-in
