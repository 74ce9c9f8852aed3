// The run's network in the page: `recognise(strokes)` returns what Predictor.strokes returns in mnistlib/inference/predictor.py.
const pad = JSON.parse(document.getElementById("pad-data").textContent);
for (const layer of pad.layers.filter((one) => one.weight)) {
  layer.weight = layer.factor ? octets(layer.weight, halves(layer.factor)) : halves(layer.weight);
  layer.bias = halves(layer.bias);
}

// base64 → Uint8Array.
function decoded(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// Whole numbers of a byte in base64, as many to each factor → Float32Array.
function octets(text, factor) {
  const whole = new Int8Array(decoded(text).buffer), each = whole.length / factor.length;
  return Float32Array.from(whole, (number, i) => number * factor[Math.floor(i / each)]);
}

// float16, little-endian, in base64 → Float32Array.
function halves(text) {
  const bytes = decoded(text);
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => {
    const bits = bytes[2 * i] | (bytes[2 * i + 1] << 8), exponent = (bits >> 10) & 31, fraction = bits & 1023;
    return (bits >> 15 ? -1 : 1) * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
  });
}

// A map: `values` of `channels` squares one after the other, each `side` rows of `side`.
const steps = {
  // A convolution without padding; a fully connected layer is one as large as its map.
  convolution({ outputs, inputs, kernel, stride, weight, bias }, { values, side }) {
    const to = Math.floor((side - kernel) / stride) + 1, result = new Float32Array(outputs * to * to);
    for (let output = 0, place = 0; output < outputs; output++) {
      for (let row = 0; row < to; row++) {
        for (let column = 0; column < to; column++, place++) {
          let sum = bias[output], at = output * inputs * kernel * kernel;
          for (let input = 0; input < inputs; input++) {
            for (let dy = 0; dy < kernel; dy++) {
              const from = (input * side + row * stride + dy) * side + column * stride;
              for (let dx = 0; dx < kernel; dx++) sum += weight[at++] * values[from + dx];
            }
          }
          result[place] = sum;
        }
      }
    }
    return { values: result, channels: outputs, side: to };
  },
  scale({ weight, bias }, { values, channels, side }) {
    const area = side * side;
    return { values: values.map((value, i) => value * weight[Math.floor(i / area)] + bias[Math.floor(i / area)]), channels, side };
  },
  // The largest of each 2×2; an odd row or column at the end is left out.
  pool(_, { values, channels, side }) {
    const to = side >> 1, result = new Float32Array(channels * to * to);
    for (let i = 0; i < result.length; i++) {
      const channel = Math.floor(i / (to * to)), row = Math.floor(i / to) % to, column = i % to;
      const from = (channel * side + 2 * row) * side + 2 * column;
      result[i] = Math.max(values[from], values[from + 1], values[from + side], values[from + side + 1]);
    }
    return { values: result, channels, side: to };
  },
  relu: (_, { values, ...shape }) => ({ values: values.map((value) => Math.max(value, 0)), ...shape }),
};

// Strokes of [x, y], y down, in any units → the most probable digit, ten calibrated probabilities, whether the prediction
// is accepted, the rejection reason, and the 28×28 image that the network saw.
function recognise(strokes) {
  const image = globalThis.rasterize(strokes);
  let map = { values: Float32Array.from(image, (ink) => ink / 255), channels: 1, side: 28 };
  for (const layer of pad.layers) map = steps[layer.kind](layer, map);
  const logits = Array.from(map.values), largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp((logit - largest) / pad.temperature));
  const whole = powers.reduce((sum, power) => sum + power), probabilities = powers.map((power) => power / whole);
  const ood_score = largest - logits.reduce((sum, logit) => sum + logit) / logits.length;
  const confident = Math.max(...probabilities) >= pad.threshold; // never so for NaN
  const doubt = ood_score >= pad.ood_threshold ? (confident ? "" : "not sure enough") : "not like a digit";
  const rejectionReason = image.some((ink) => ink) ? doubt : "no ink";
  return { digit: logits.indexOf(largest), probabilities, accepted: !rejectionReason, rejectionReason, image };
}
globalThis.recognise = recognise;
