// TIES as this project specifies it, in JavaScript: a conformance target, without any package.
//
//     mergealgebra conformance "node examples/conformance/ties.mjs"
import { createInterface } from "node:readline";

// Tensors: {dtype, shape, hex} to an array of numbers and back, rounded to the nearest, ties to even.

const bytesOf = (hex) => Uint8Array.from(Buffer.from(hex, "hex")).buffer;
const hexOf = (array) => Buffer.from(array.buffer).toString("hex");
const bitsOf = (x) => new Uint32Array(Float32Array.of(x).buffer)[0];

function halfToNumber(bits) {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const unit = 2 ** (Math.max(exponent, 1) - 25);
  const magnitude = exponent < 31 ? (fraction + (exponent && 1024)) * unit : fraction ? NaN : Infinity;
  return bits >> 15 ? -magnitude : magnitude;
}

function numberToHalf(x) {
  const exponent = Math.max(((bitsOf(x) >>> 23) & 255) - 127, -14);
  const scaled = Math.abs(x) / 2 ** (exponent - 10);
  const down = Math.floor(scaled);
  const up = scaled - down > 0.5 || (scaled - down === 0.5 && down % 2 === 1);
  const bits = Number.isNaN(x) ? 0x7e00 : Math.min((exponent + 14) * 1024 + down + up, 0x7c00);
  return bits | ((bitsOf(x) >>> 31) << 15);
}

function numberToBrain(x) {
  const bits = bitsOf(x);
  return Number.isNaN(x) ? 0x7fc0 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

const DTYPES = {
  F64: { read: (bytes) => new Float64Array(bytes), write: (values) => Float64Array.from(values) },
  F32: { read: (bytes) => new Float32Array(bytes), write: (values) => Float32Array.from(values) },
  F16: {
    read: (bytes) => Float32Array.from(new Uint16Array(bytes), halfToNumber),
    write: (values) => Uint16Array.from(Float32Array.from(values), numberToHalf),
  },
  BF16: {
    read: (bytes) => new Float32Array(Uint32Array.from(new Uint16Array(bytes), (bits) => bits << 16).buffer),
    write: (values) => Uint16Array.from(Float32Array.from(values), numberToBrain),
  },
};

const read = ({ dtype, hex }) => DTYPES[dtype].read(bytesOf(hex));
const write = ({ dtype, shape }, values) => ({ dtype, shape, hex: hexOf(DTYPES[dtype].write(values)) });

// TIES: task vector, trim, elect, disjoint mean, apply. Tensors come in the order of their names.

function finite(x, what) {
  if (!Number.isFinite(x)) throw new Error(`${what} is not finite`);
  return x;
}

const difference = (tensor, base) =>
  Float32Array.from(tensor, (x, i) => (Object.is(x, base[i]) ? 0 : x - base[i])).map((x) => finite(x, "a task vector"));

function kept(density, d) { // max(1, floor(density * d)), the product exact
  if (!(Number(density) > 0 && Number(density) <= 1)) throw new Error(`density ${density} is not in (0, 1]`);
  const [whole, fraction = ""] = density.split(".");
  return Math.max(1, Number((BigInt(whole + fraction) * BigInt(d)) / 10n ** BigInt(fraction.length)));
}

function trim(task, density) { // task: name to values
  const magnitudes = Float32Array.from(Object.values(task).flatMap((values) => [...values]), Math.abs).sort();
  const threshold = magnitudes.at(-kept(density, magnitudes.length));
  const of = (values) => values.map((x) => (Math.abs(x) >= threshold ? x : 0));
  return Object.fromEntries(Object.entries(task).map(([name, values]) => [name, of(values)]));
}

// The exact sum of fp32 numbers, which are whole multiples of 2^-149, rounded once.
const total = (numbers) => Number(numbers.reduce((sum, x) => sum + BigInt(x * 2 ** 149), 0n)) / 2 ** 149;

function disjointMean(values, coefficients) { // of one coordinate: a value and a coefficient for each model
  const votes = values.map((x, j) => [finite(Math.fround(coefficients[j] * x), "a vote"), coefficients[j]]);
  const elected = Math.sign(total(votes.map(([v]) => v)));
  const agreeing = votes.filter(([v]) => elected !== 0 && Math.sign(v) === elected);
  if (agreeing.length === 0) return 0;
  const mean = total(agreeing.map(([v]) => v)) / total(agreeing.map(([, c]) => c));
  return finite(Math.fround(mean), "a merged task vector");
}

function merge({ base, models, density, lambda, coefficients }) {
  const names = Object.keys(base).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const bases = Object.fromEntries(names.map((name) => [name, read(base[name])]));
  const tasks = models.map((model) => {
    const extra = Object.keys(model).find((name) => !(name in base));
    if (extra !== undefined) throw new Error(`the base has no tensor ${extra}`);
    const present = names.filter((name) => name in model); // a tensor that a model lacks has no votes
    return trim(Object.fromEntries(present.map((name) => [name, difference(read(model[name]), bases[name])])), density);
  });
  const weights = coefficients.map((text) => Math.fround(Number(text)));
  const factor = Math.fround(Number(lambda));
  return Object.fromEntries(
    names.map((name) => {
      const narrow = base[name].dtype === "F64" ? (x) => x : Math.fround;
      const at = (i) => tasks.map((task) => task[name]?.[i] ?? 0);
      const steps = Array.from(bases[name], (_, i) => factor * disjointMean(at(i), weights));
      const moved = write(base[name], bases[name].map((x, i) => (steps[i] === 0 ? x : narrow(x + steps[i]))));
      read(moved).forEach((x, i) => steps[i] === 0 || finite(x, "a result"));
      return [name, moved];
    }),
  );
}

// The protocol: a line of JSON in, a line of JSON out.

function answer(request) {
  if (request.hello) return { hello: { name: "ties.mjs", version: "1" } };
  try {
    return { id: request.id, tensors: merge(request) };
  } catch (error) {
    return { id: request.id, error: error.message };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(answer(JSON.parse(line))) + "\n");
}
