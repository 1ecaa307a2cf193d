// Where the tests find Kafka: its jars, which Maven brings into node_modules/.cache. Imported by scripts/test.mjs and by the tests.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const KAFKA_VERSION = '4.3.1';
/** What a failing test or test command says. */
export const KAFKA_REMEDY =
  'The tests of Kafka need Java 17 or newer and Maven 3 on the PATH, and a repository that Maven can reach: run `npm test`, which downloads Kafka once.';

const FOLDER = fileURLToPath(new URL(`../node_modules/.cache/kafka-${KAFKA_VERSION}`, import.meta.url));

/** @returns {string} where what was downloaded, and what is derived from it, is kept */
export function kafkaFolder() {
  return FOLDER;
}

/** @returns {string | undefined} the folder of the jars */
export function findKafka() {
  const jars = join(FOLDER, 'lib');
  return existsSync(join(jars, `kafka_2.13-${KAFKA_VERSION}.jar`)) ? jars : undefined;
}

/** Downloads the jars, once. @returns {boolean} whether they are there */
export function downloadKafka() {
  if (findKafka() !== undefined) return true;
  // Another run may do the same: the one that is ready first wins.
  const work = `${FOLDER}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  writeFileSync(join(work, 'pom.xml'), pom());
  const args = ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${join(work, 'lib')}`];
  const { status } = spawnSync('mvn', args, { cwd: work, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status === 0 && readdirSync(join(work, 'lib')).length > 0 && !existsSync(FOLDER))
    renameSync(work, FOLDER);
  rmSync(work, { recursive: true, force: true });
  return findKafka() !== undefined;
}

function pom() {
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>nestjs-realtime</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${KAFKA_VERSION}</version>
    </dependency>
  </dependencies>
</project>
`;
}
