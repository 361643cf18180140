//! TLS by policy, certificates that prove nothing, bytes injected before the handshake, and who gets to see a password.

use std::sync::Arc;

use config::TlsPolicy;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use transport::smtp::{Credentials, Failure, Session, Settings, Stage, Target};
use transport::tls::TlsClient;

use super::client::{content, deliver, envelope, settings, target};
use super::sink::{At, Running, Sink};

const OFFERS: [&str; 4] = ["PIPELINING", "STARTTLS", "AUTH PLAIN LOGIN", "8BITMIME"];
const POLICIES: [TlsPolicy; 4] = [TlsPolicy::None, TlsPolicy::Opportunistic, TlsPolicy::Required, TlsPolicy::Verified];

/// A certification authority, and the client's settings that trust it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    settings: Settings,
}

impl Authority {
    fn new() -> Self {
        Self::called("the authority")
    }

    fn called(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), params.self_signed(&key).unwrap().pem()).unwrap();
        let tls = Arc::new(TlsClient::new(Some(file.path())).unwrap());
        Authority { issuer: Issuer::new(params, key), settings: Settings { tls, ..settings() } }
    }

    /// A server whose certificate is for `name`.
    fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        server_config(params.signed_by(&key, &self.issuer).unwrap().der(), &key, false)
    }
}

fn server_config(certificate: &CertificateDer<'static>, key: &KeyPair, only_1_2: bool) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let versions = if only_1_2 { vec![&TLS12] } else { vec![&TLS13, &TLS12] };
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    Arc::new(config)
}

/// Marked as that of an authority, and self-signed.
fn of_an_authority() -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    server_config(params.self_signed(&key).unwrap().der(), &key, false)
}

/// As the trusted authority is called, whose successor it could be: it was renewed, and ca_file has the old one.
fn named_as_the_authority(only_1_2: bool) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "the authority");
    server_config(params.self_signed(&key).unwrap().der(), &key, only_1_2)
}

fn self_signed(only_1_2: bool) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    server_config(params.self_signed(&key).unwrap().der(), &key, only_1_2)
}

fn expired(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
}

async fn serve(tls: Arc<ServerConfig>, offers: &[&str]) -> Running {
    Sink { tls: Some(tls), ..Sink::new(offers) }.start().await
}

fn with(server: &Running, tls: TlsPolicy, password: Option<&str>) -> Target {
    let credentials = password.map(|password| Credentials::new("me".to_owned(), password.to_owned().into()).unwrap());
    Target { tls, credentials, ..target(server) }
}

/// The session, after one message went over it.
async fn send(settings: &Settings, target: &Target) -> Result<Session, Failure> {
    let mut session = Session::open(settings, target).await?;
    assert!(deliver(&mut session, &envelope(&["a@x.example"]), &content("hi\r\n"), None).await[0].is_ok());
    Ok(session)
}

#[tokio::test]
async fn a_valid_certificate_is_told_as_verified_under_every_policy() {
    let authority = Authority::new();
    for policy in POLICIES {
        let server = serve(authority.server("localhost", |_| {}), &OFFERS).await;
        let session = send(&authority.settings, &with(&server, policy, None)).await.unwrap();
        match session.tls() {
            None => assert_eq!(policy, TlsPolicy::None),
            Some(facts) => assert!(facts.is_verified() && facts.version == "TLSv1.3" && facts.cipher.contains("AES"), "{facts}"),
        }
        let expected = if policy == TlsPolicy::None { 1 } else { 2 };
        let hellos = server.seen().commands.iter().filter(|line| line.starts_with("EHLO")).count();
        assert_eq!((hellos, session.capabilities().starttls), (expected, policy == TlsPolicy::None), "{policy:?}");
    }
}

#[tokio::test]
async fn t_smtp_3_certificates_that_prove_nothing_end_verified_sessions_and_no_others() {
    let authority = Authority::new();
    for (name, config, words) in [
        ("self-signed", self_signed(false), "is self-signed; add it to ca_file"),
        ("self-signed, TLS 1.2", self_signed(true), "is self-signed; add it to ca_file"),
        ("self-signed by an authority", of_an_authority(), "is self-signed and marked as a CA certificate"),
        ("expired", authority.server("localhost", expired), "expired on 2"),
        ("for another name", authority.server("other.example", |_| {}), "is for other.example, not for localhost"),
        ("for an address", authority.server("192.0.2.1", |_| {}), "is for 192.0.2.1, not for localhost"),
        ("self-signed, with the name of an authority", named_as_the_authority(false), "is self-signed; add it to ca_file"),
        ("of another authority", Authority::called("another").server("localhost", |_| {}), "was issued by a CA that is not trusted here"),
        ("of an authority of the same name", Authority::new().server("localhost", |_| {}), "was not signed by the trusted CA of that name"),
    ] {
        for policy in [TlsPolicy::Opportunistic, TlsPolicy::Required] {
            let server = serve(Arc::clone(&config), &OFFERS).await;
            let session = send(&authority.settings, &with(&server, policy, None)).await.unwrap();
            let unverified = session.tls().and_then(|facts| facts.unverified.clone()).unwrap_or_default();
            assert!(unverified.starts_with(&format!("the certificate of localhost {words}")), "{name} {policy:?}: {unverified}");
            assert_eq!(server.seen().connections, 1);
        }
        let server = serve(config, &OFFERS).await;
        let failure = send(&authority.settings, &with(&server, TlsPolicy::Verified, Some("secret"))).await.unwrap_err();
        assert!(
            failure.stage == Stage::Tls && failure.cause.starts_with(&format!("the certificate of localhost {words}")),
            "{name}: {failure}"
        );
        assert_eq!(server.seen().commands, ["EHLO h.example", "STARTTLS"]);
    }
}

#[tokio::test]
async fn a_self_signed_certificate_in_ca_file_proves_a_name() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), certificate.pem()).unwrap();
    let settings = Settings { tls: Arc::new(TlsClient::new(Some(file.path())).unwrap()), ..settings() };
    let server = serve(server_config(certificate.der(), &key, false), &OFFERS).await;
    let session = send(&settings, &with(&server, TlsPolicy::Verified, None)).await.unwrap();
    assert!(session.tls().is_some_and(|facts| facts.is_verified()));
}

#[tokio::test]
async fn an_address_can_be_the_name_of_a_certificate() {
    let authority = Authority::new();
    let server = serve(authority.server("127.0.0.1", |_| {}), &OFFERS).await;
    let target = Target { host: "127.0.0.1".to_owned(), ..with(&server, TlsPolicy::Verified, None) };
    let session = send(&authority.settings, &target).await.unwrap();
    assert_eq!(session.peer(), format!("[127.0.0.1]:{}", server.address.port()));
}

#[tokio::test]
async fn t_smtp_3_without_starttls_only_those_policies_send_that_may_send_in_clear() {
    let authority = Authority::new();
    for policy in POLICIES {
        let server = serve(self_signed(false), &["PIPELINING", "AUTH PLAIN"]).await;
        match send(&authority.settings, &with(&server, policy, None)).await {
            Ok(session) => assert!(session.tls().is_none() && matches!(policy, TlsPolicy::None | TlsPolicy::Opportunistic)),
            Err(failure) => {
                assert!(failure.stage == Stage::StartTls && matches!(policy, TlsPolicy::Required | TlsPolicy::Verified));
                assert_eq!(server.seen().commands, ["EHLO h.example"]);
            }
        }
    }
}

#[tokio::test]
async fn starttls_that_fails_sends_an_opportunistic_session_once_more_in_clear() {
    let authority = Authority::new();
    for (reply, fails_at) in [("454 4.7.0 TLS not available\r\n", Stage::StartTls), ("220 but no TLS follows\r\n", Stage::Tls)] {
        for policy in [TlsPolicy::Opportunistic, TlsPolicy::Required, TlsPolicy::Verified] {
            let server = serve(without_a_certificate(), &OFFERS).await;
            let server = match fails_at {
                Stage::StartTls => {
                    Sink { tls: Some(self_signed(false)), ..Sink::new(&OFFERS) }.wrong(At::StartTls, None, reply, None).start().await
                }
                _ => server,
            };
            match send(&authority.settings, &with(&server, policy, None)).await {
                Ok(session) => {
                    assert_eq!(policy, TlsPolicy::Opportunistic);
                    assert!(session.tls().is_none() && session.downgrade().is_some_and(|why| why.starts_with(&fails_at.to_string())));
                    assert_eq!(server.seen().connections, 2);
                }
                Err(failure) => {
                    assert!(policy != TlsPolicy::Opportunistic && failure.stage == fails_at && server.seen().messages.is_empty());
                }
            }
        }
    }
}

/// A server with which no handshake succeeds.
fn without_a_certificate() -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(tokio_rustls::rustls::server::ResolvesServerCertUsingSni::new()));
    Arc::new(config)
}

#[tokio::test]
async fn t_smtp_3_bytes_behind_the_220_to_starttls_end_the_attempt_under_every_policy() {
    let authority = Authority::new();
    for injected in ["250-evil\r\n250 AUTH PLAIN\r\n", "2", "550 x\r\n", "\r\n"] {
        for policy in [TlsPolicy::Opportunistic, TlsPolicy::Required, TlsPolicy::Verified] {
            let server = Sink { tls: Some(authority.server("localhost", |_| {})), ..Sink::new(&OFFERS) }
                .wrong(At::StartTls, None, format!("220 go\r\n{injected}"), None)
                .start()
                .await;
            let failure = send(&authority.settings, &with(&server, policy, None)).await.unwrap_err();
            assert_eq!((failure.stage, failure.reply, failure.status.class), (Stage::StartTls, None, 4), "{injected:?} {policy:?}");
            assert!(server.seen().connections == 1 && server.seen().messages.is_empty());
        }
    }
}

#[tokio::test]
async fn implicit_tls_starts_with_the_first_byte() {
    let authority = Authority::new();
    let tls = Some(authority.server("localhost", |_| {}));
    let server = Sink { tls, implicit_tls: true, ..Sink::new(&OFFERS) }.start().await;
    let target = Target { implicit_tls: true, ..with(&server, TlsPolicy::Verified, Some("secret")) };
    assert!(send(&authority.settings, &target).await.unwrap().tls().is_some_and(|facts| facts.is_verified()));
    assert_eq!(server.seen().commands[..2], ["EHLO h.example", "AUTH PLAIN AG1lAHNlY3JldA=="]);
    // A server in clear at that port is a failed handshake, and nothing is said to it.
    let clear = Sink::new(&OFFERS).start().await;
    let target = Target { implicit_tls: true, ..with(&clear, TlsPolicy::Opportunistic, None) };
    assert_eq!(send(&authority.settings, &target).await.unwrap_err().stage, Stage::Tls);
    assert!(clear.seen().messages.is_empty());
}

#[tokio::test]
async fn auth_plain_and_login_are_spoken_under_verified_tls() {
    let authority = Authority::new();
    for (offer, commands) in [
        ("AUTH LOGIN PLAIN", &["AUTH PLAIN AG1lAHNlY3JldA=="][..]),
        ("AUTH LOGIN", &["AUTH LOGIN", "bWU=", "c2VjcmV0"]),
        ("auth=login", &["AUTH LOGIN", "bWU=", "c2VjcmV0"]),
    ] {
        let server = serve(authority.server("localhost", |_| {}), &["STARTTLS", offer]).await;
        send(&authority.settings, &with(&server, TlsPolicy::Verified, Some("secret"))).await.unwrap();
        assert_eq!(server.seen().commands[3..3 + commands.len()], *commands);
    }
}

#[tokio::test]
async fn t_smtp_7_no_password_goes_where_the_name_is_not_proved() {
    let authority = Authority::new();
    for policy in POLICIES {
        for config in [self_signed(false), authority.server("other.example", |_| {})] {
            let server = serve(config, &OFFERS).await;
            let failure = send(&authority.settings, &with(&server, policy, Some("secret"))).await.unwrap_err();
            assert!(matches!(failure.stage, Stage::Auth | Stage::Tls) && failure.reply.is_none(), "{policy:?} {failure}");
            let seen = server.seen();
            assert!(seen.messages.is_empty() && !seen.commands.iter().any(|line| line.starts_with("AUTH")));
        }
    }
}

#[tokio::test]
async fn t_smtp_7_auth_that_is_refused_or_not_offered_is_of_the_route_and_never_shows_the_password() {
    let authority = Authority::new();
    for (reply, cause) in [
        ("535 5.7.8 wrong password\r\n", "535 5.7.8 wrong password"),
        ("535 5.7.8 not `secret`\r\n", "535 (text withheld: it contains the password)"),
        ("250-secret\r\n251 x\r\n", "the server mixed the codes 250 and 251 in one reply"),
        ("secret AG1lAHNlY3JldA==\r\n", "the server violated the protocol, and its answer contains the password"),
        ("334 more?\r\n", "the server answered AUTH with `334 more?`, which is not a valid reply to it"),
    ] {
        let server = Sink { tls: Some(authority.server("localhost", |_| {})), ..Sink::new(&OFFERS) }
            .wrong(At::Auth, None, reply, None)
            .start()
            .await;
        let failure = send(&authority.settings, &with(&server, TlsPolicy::Verified, Some("secret"))).await.unwrap_err();
        assert_eq!((failure.stage, failure.cause.as_str()), (Stage::Auth, cause));
        assert!(!format!("{failure:?}").contains("secret"), "{failure:?}");
    }
    let server = serve(authority.server("localhost", |_| {}), &["STARTTLS", "AUTH XOAUTH2"]).await;
    let failure = send(&authority.settings, &with(&server, TlsPolicy::Verified, Some("secret"))).await.unwrap_err();
    assert!(failure.stage.is_route() && failure.cause.contains("neither AUTH PLAIN nor AUTH LOGIN"));
}

#[tokio::test]
async fn large_content_and_one_round_trip_work_under_tls() {
    let authority = Authority::new();
    let server = serve(authority.server("localhost", |_| {}), &OFFERS).await;
    let mut session = Session::open(&authority.settings, &with(&server, TlsPolicy::Verified, None)).await.unwrap();
    let envelope = envelope(&["a@x.example"]);
    for text in ["line\r\n".repeat(1 << 18), "short\r\n".to_owned()] {
        assert!(deliver(&mut session, &envelope, &content(&text), Some(&envelope)).await[0].is_ok());
        assert!(server.seen().messages.last().is_some_and(|message| message.1.ends_with(text.as_bytes())));
    }
    let before = server.seen().reads;
    assert!(deliver(&mut session, &envelope, &content("x\r\n"), Some(&envelope)).await[0].is_ok());
    assert_eq!(server.seen().reads - before, 1);
    session.quit().await;
}
