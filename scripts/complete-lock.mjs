// Adds to package-lock.json the optional packages of other platforms that the registry in use did not offer.
// npm leaves them out of the lock file and then refuses that file in `npm ci` (npm/cli#9846); without them the
// lock file would also be useless on those platforms. Run it after every `npm install` that changes the lock file:
//   npm run lock
// It adds name, exact version and platform, as far as the depending package states them; no integrity is known.
import { readFileSync, writeFileSync } from 'node:fs';

const OS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const CPU = ['arm', 'arm64', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64'];
const LIBC = { gnu: 'glibc', glibc: 'glibc', musl: 'musl' };

for (const file of process.argv.slice(2)) complete(file);

function complete(file) {
  const lock = JSON.parse(readFileSync(file, 'utf8'));
  const { packages } = lock;
  let added = 0;
  for (const [path, { optionalDependencies = {}, dev }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      if (isLocked(packages, path, name)) continue;
      const { cpu, libc, os } = platform(name);
      // The order in which npm writes the keys.
      packages[`node_modules/${name}`] = {
        version: exact(name, version),
        cpu,
        ...(dev && { dev }),
        ...(libc && { libc }),
        optional: true,
        os,
      };
      added += 1;
    }
  }
  const downloads = Object.values(packages).filter((entry) => entry.resolved && !entry.link).length;
  if (downloads > 0) throw new Error(`${file} names ${downloads} download addresses: is .npmrc in force?`);
  if (added > 0) {
    const byPath = ([a], [b]) => a.localeCompare(b, 'en');
    lock.packages = Object.fromEntries(Object.entries(packages).sort(byPath));
    writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  }
  console.log(`${file}: ${added} packages of other platforms added`);
}

/** Whether `name` is found from `path`, as Node looks it up: in its own node_modules, then in each one above. */
function isLocked(packages, path, name) {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (packages[`${folder ? `${folder}/` : ''}node_modules/${name}`]) return true;
    if (folder === '') return false;
  }
}

function exact(name, version) {
  if (/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) return version;
  throw new Error(`${name}@${version} is missing from the lock file and is not an exact version`);
}

function platform(name) {
  const words = name.split('/').at(-1).split('-');
  const os = words.find((word) => OS.includes(word));
  const cpu = words.find((word) => CPU.includes(word));
  if (!os || !cpu) throw new Error(`${name} is missing from the lock file and its name states no platform`);
  const libc = words.map((word) => LIBC[word]).find(Boolean);
  return { cpu: [cpu], libc: libc && [libc], os: [os] };
}
