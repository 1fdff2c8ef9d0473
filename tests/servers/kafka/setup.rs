//! What a broker needs before it starts: its configuration and its logging.

use super::{Ports, WATCHER, free_port};
use std::path::Path;

/// The configuration of a broker that is its own controller, with a listener for each way to get in.
pub fn properties(folder: &Path, ports: &Ports, proxy: u16) -> String {
    let Ports { plain, watched, controller, sasl, tls, both } = ports;
    let (user, password) = WATCHER;
    let keys = folder.join("server.pem");
    format!(
        r#"process.roles=broker,controller
node.id=1
listeners=PLAIN://127.0.0.1:{plain},WATCHED://127.0.0.1:{watched},CONTROLLER://127.0.0.1:{controller},SASL://127.0.0.1:{sasl},TLS://127.0.0.1:{tls},BOTH://127.0.0.1:{both}
advertised.listeners=PLAIN://127.0.0.1:{plain},WATCHED://127.0.0.1:{proxy},SASL://127.0.0.1:{sasl},TLS://127.0.0.1:{tls},BOTH://127.0.0.1:{both}
listener.security.protocol.map=PLAIN:PLAINTEXT,WATCHED:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,BOTH:SASL_SSL
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
controller.quorum.voters=1@127.0.0.1:{controller}
log.dirs={data}
auto.create.topics.enable=false
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.both.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
listener.name.both.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.both.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={keys}
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=4194304
file.delete.delay.ms=0
"#,
        data = folder.join("data").display(),
        keys = keys.display(),
    )
}

/// A broker that is none of the controllers.
pub fn second(folder: &Path, ports: &Ports) -> String {
    let (plain, watched, controller) = (free_port(), free_port(), ports.controller);
    format!(
        r#"process.roles=broker
node.id=2
listeners=PLAIN://127.0.0.1:{plain},WATCHED://127.0.0.1:{watched}
listener.security.protocol.map=PLAIN:PLAINTEXT,WATCHED:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
controller.quorum.voters=1@127.0.0.1:{controller}
log.dirs={data}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=4194304
"#,
        data = folder.join("second").display(),
    )
}

/// Errors to the console, each request to a file of its own.
pub fn logging(folder: &Path) -> String {
    format!(
        r#"Configuration:
  status: error
  Appenders:
    Console: {{name: CONSOLE, PatternLayout: {{pattern: "%d %p %c %m%n"}}}}
    File: {{name: REQUESTS, fileName: "{}", append: true, PatternLayout: {{pattern: "%m%n"}}}}
  Loggers:
    Root: {{level: warn, AppenderRef: {{ref: CONSOLE}}}}
    Logger:
      - {{name: kafka.request.logger, level: debug, additivity: false, AppenderRef: {{ref: REQUESTS}}}}
"#,
        folder.join("requests.log").display()
    )
}
