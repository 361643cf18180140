//! The network access of the resolver. hickory's own runtime binds UDP sockets that accept datagrams from everybody; this one uses
//! sockets that are connected to one DNS server, for one query (THREATS.md T-NET-1). TCP, timers and tasks
//! are hickory's.
//!
//! The kernel drops datagrams from other addresses.

use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hickory_resolver::net::runtime::{DnsUdpSocket, RuntimeProvider, TokioRuntimeProvider, TokioTime};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

type Boxed<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// hickory's tokio runtime, except for its UDP sockets.
#[derive(Clone, Default)]
pub(crate) struct Runtime(TokioRuntimeProvider);

impl RuntimeProvider for Runtime {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = <TokioRuntimeProvider as RuntimeProvider>::Timer;
    type Udp = ConnectedUdp;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.0.create_handle()
    }

    fn connect_tcp(&self, server: SocketAddr, bind: Option<SocketAddr>, timeout: Option<Duration>) -> Boxed<Self::Tcp> {
        self.0.connect_tcp(server, bind, timeout)
    }

    /// `_local` is not used: to bind first would open the port to every sender until the connect.
    fn bind_udp(&self, _local: SocketAddr, server: SocketAddr) -> Boxed<Self::Udp> {
        let socket = sys::udp::connect(server).and_then(UdpSocket::from_std);
        Box::pin(ready(socket.map(ConnectedUdp)))
    }
}

/// A UDP socket for one DNS server.
pub(crate) struct ConnectedUdp(UdpSocket);

impl DnsUdpSocket for ConnectedUdp {
    type Time = TokioTime;

    /// With the true source address, which hickory compares once more.
    fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buf = ReadBuf::new(buf);
        self.0.poll_recv_from(cx, &mut buf).map_ok(|source| (buf.filled().len(), source))
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], _target: SocketAddr) -> Poll<io::Result<usize>> {
        self.0.poll_send(cx, buf)
    }
}
