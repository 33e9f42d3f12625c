"""Methods that send another signal back than the derivative.

What each kind of operation does with a signal R:

| operation | guided, deconvnet | lrp | attn_lrp | excitation |
|---|---|---|---|---|
| ReLU | own rule | all, damped | all, damped | derivative |
| ceiling of a ReLU6 | derivative | all | all | all |
| smooth rectifier | derivative | all, damped | all, damped | all |
| logistic, hard sigmoid, tanh, power | refused | all, damped | all, damped | all |
| convolution, product with weights | derivative | shares | gamma | shares of W+ |
| bias, batch normalization | derivative | shares | shares | all |
| sum of two, mean, average pooling | derivative | shares | shares | shares |
| max pooling, reshaping, slicing | derivative | derivative | derivative | derivative |
| layer, group, RMS normalization | refused | shares, scale fixed | shares, scale fixed | all |
| softmax s of x | refused | x (R - s sum R) | "cp": nothing; "attn": as lrp | x (R - s sum R) |
| product of two on the image | refused | half shares | half shares; "cp": see there | half shares |
| any other, branches, loops of unknown length | refused | refused | refused | refused |

"all" hands on R as it is, "damped" by epsilon; "shares" are in proportion to what each input
contributes to the output; max pooling's derivative is the way to its winner. Smooth rectifiers are
leaky ReLU, SiLU, GELU, ELU, SELU, softplus, mish and hard swish.

`deep_lift` compares what an operation is given of the image with what it is given of a baseline,
and has rules of its own for functions of one number and for maxima; it refuses norms, softmax and
products. `lrp` with a composite hands on all at functions of one number, undamped, and has other
shares at convolutions and products with weights.

What is refused has its derivative on request (`others="gradient"`), or a rule of one's own
(`saljax.override`). captum and pytorch-grad-cam replace the modules that they know and take the
derivative of everything else, without a word. Excitation backprop has no published rules beyond
convolutions, averages and sums: those for norms, softmax, products and smooth functions are
AttnLRP's, our choice.
"""
