//! pcap and pcapng, over [`std::io::Read`] and [`std::io::Write`].
