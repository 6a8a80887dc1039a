//! libstspiVastDataMT.so: the multi-threaded plug-in
