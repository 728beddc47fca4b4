//! The only unsafe code: TAPs, packet sockets, namespaces. Descriptors own themselves and close on
//! drop.
