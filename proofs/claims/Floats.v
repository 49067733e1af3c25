(** Floats: what is exact, what is rounded, and that the code computes the clauses.

    Parts: numbers and bits; sums and the certificate; the methods; aggregates; products and roundings; what is always
    exact. A sum that is not certified is made of Python's integers, and is not spoken of here. *)

From Coq Require Import ZArith Reals List Permutation.
From Flocq Require Import Core.Core IEEE754.BinarySingleNaN IEEE754.Bits.
From MergeAlgebra.Definitions Require Import Bits Rounding Floats FloatsCode.
From MergeAlgebra.Lemmas Require FloatsSums FloatsMethods FloatsKernels FloatsAggregates.
From MergeAlgebra.Lemmas Require FloatsRounding FloatsRanges FloatsMachine.
Import ListNotations.
Open Scope R_scope.

(** * Numbers and bits *)

(** The finite numbers of a dtype, of which these claims speak, are those that finite bits stand for. [EN-12] *)
Theorem numbers_are_of_bits : forall d x,
  is_number d x <-> exists n : number d, finite n = true /\ Bits.value n = x.
Proof. exact FloatsMachine.numbers_are_of_bits. Qed.

(** Every F32, BF16 and F16 number is an fp32 number, so widening rounds nothing. [TV-2, TV-5] *)
Theorem widening_is_exact : forall d x, d <> F64 -> has_format d x -> has_format F32 x /\ RN32 x = x.
Proof. exact FloatsRounding.widening_is_exact. Qed.

(** Widening fp32 bits to fp64 bits keeps the number. [EX-2] *)
Theorem widening_bits_is_exact : forall x : number F32, finite x = true ->
  Bits.value (widen x) = Bits.value x /\ finite (widen x) = true.
Proof. exact FloatsMachine.widened_is_exact. Qed.

(** An fp32 subtraction on bits is the exact difference rounded once. [TV-2] *)
Theorem subtraction_rounds_once : forall x y : number F32, finite x = true -> finite y = true ->
  Rabs (RN32 (Bits.value x - Bits.value y)) < 2^128 ->
  finite (b32_minus mode_NE x y : number F32) = true /\
  Bits.value (b32_minus mode_NE x y : number F32) = RN32 (Bits.value x - Bits.value y).
Proof. exact FloatsMachine.subtraction_rounds_once. Qed.

(** An fp32 multiplication on bits is RN32(c * tau). [TI-6, ME-1] *)
Theorem scaling_rounds_once : forall x y : number F32, finite x = true -> finite y = true ->
  Rabs (RN32 (Bits.value x * Bits.value y)) < 2^128 ->
  finite (b32_mult mode_NE x y : number F32) = true /\
  Bits.value (b32_mult mode_NE x y : number F32) = RN32 (Bits.value x * Bits.value y).
Proof. exact FloatsMachine.scaling_rounds_once. Qed.

(** fp64 additions on bits, of up to 2^53 fp32 numbers in any tree, are the rounded sums of these claims: none
    overflows. [EX-2] *)
Theorem sums_on_bits_are_rounded_sums : forall t : tree (number F32),
  Forall (fun x => finite x = true) (leaves t) -> (Z.of_nat (length (leaves t)) <= 2 ^ 53)%Z ->
  let total := machine_sum (map_tree widen t) in
  finite total = true /\ Bits.value total = sum64 Bits.value t.
Proof. exact FloatsMachine.machine_sums_of_fp32. Qed.

(** The grid that `algebra/exact.py` reads from the bits of an fp32 number is that of the clause. [EX-2] *)
Theorem grids_are_read_from_bits : forall x : number F32, finite x = true ->
  biased_grid_of_bits x = biased_grid (Bits.value x).
Proof. exact FloatsMachine.grid_is_read_from_bits. Qed.

(** * Sums and the certificate *)

(** Whole multiples of one power of two whose magnitudes sum to at most 2^53 of it add exactly in fp64 in every tree,
    and so does each part of the tree. [EX-2] *)
Theorem grid_sums_are_exact : forall e (t s : tree R),
  (-1074 <= e)%Z -> Forall (on_grid e) (leaves t) -> sum_of Rabs (leaves t) <= 2^53 * 2^e ->
  part_of s t -> sum64 id s = sum (leaves s).
Proof. exact FloatsSums.grid_sums_are_exact. Qed.

(** The test of `algebra/exact.py`, made on magnitudes as fp64 additions computed them, decides in every tree exactly
    what the clause asks of the exact ones. [EX-2, EX-3] *)
Theorem the_test_is_the_certificate : forall t, all_numbers F32 (leaves t) -> passes t <-> certified (leaves t).
Proof. exact FloatsSums.passes_is_certified. Qed.

(** A block that passes the cheap test as a whole passes it at each coordinate. [EX-2, EX-3] *)
Theorem the_cheap_test_is_enough : forall block, block_passes block -> forall t, In t block -> passes t.
Proof. exact FloatsSums.block_test_is_enough. Qed.

(** The test of the fused kernels, on the running fp64 sum of magnitudes, decides exactly what the clause asks of the
    exact sum. [EX-2, EX-3] *)
Theorem the_kernels_test_is_the_certificate : forall vs, all_numbers F32 vs -> kernel_passes vs <-> certified vs.
Proof. exact FloatsSums.kernel_passes_is_certified. Qed.

(** The test of the fused CPU kernel, done on bits from the least magnitude to the comparison, decides exactly what
    the clause asks. [EX-2, EX-3] *)
Theorem the_test_on_bits_is_the_certificate : forall xs : list (number F32),
  Forall (fun x => finite x = true) xs -> (Z.of_nat (length xs) < 2 ^ 53)%Z ->
  machine_passes xs = true <-> certified (map Bits.value xs).
Proof. exact FloatsMachine.machine_test_is_certificate. Qed.

(** On CUDA devices the least grid is found by other arithmetic on bits, and the test of the fused kernels decides the
    same. [EX-2] *)
Theorem the_gpu_test_is_the_kernels_test : forall xs : list (number F32), Forall (fun x => finite x = true) xs ->
  let vs := map Bits.value xs in running_sum F64 Rabs vs < limit (gpu_grid xs) <-> kernel_passes vs.
Proof. exact FloatsMachine.gpu_test_is_kernel_test. Qed.

(** The test of the coefficients, made once on the sum of their magnitudes, rounded once, decides exactly what the
    clause asks. [EX-2, EX-3] *)
Theorem the_coefficients_test_is_the_certificate : forall cs, all_numbers F32 cs -> coefficients_pass cs <-> certified cs.
Proof. exact FloatsSums.coefficients_pass_is_certified. Qed.

(** Up to 2^29 coefficients that are all the same are always certified. [EX-2, EX-3] *)
Theorem equal_coefficients_are_certified : forall unit cs,
  is_number F32 unit -> Forall (eq unit) cs -> (Z.of_nat (length cs) <= 2 ^ 29)%Z -> certified cs.
Proof. exact FloatsMethods.equal_coefficients_are_certified. Qed.

(** Every partial sum of a certified tree is exact: of v, of the positive and of the negative ones. [EX-2] *)
Theorem certified_sums_are_exact : forall t s,
  all_numbers F32 (leaves t) -> certified (leaves t) -> part_of s t ->
  sum64 id s = sum (leaves s) /\
  sum64 positive s = sum_of positive (leaves s) /\
  sum64 negative s = sum_of negative (leaves s).
Proof. exact FloatsSums.certified_sums_are_exact. Qed.

(** Certified numbers add to the same fp64 number in every tree and every order. [EX-2, TI-1, MG-8] *)
Theorem certified_order_is_immaterial : forall t s,
  all_numbers F32 (leaves t) -> certified (leaves t) -> Permutation (leaves t) (leaves s) -> sum64 id t = sum64 id s.
Proof. exact FloatsSums.certified_order_is_immaterial. Qed.

(** On bits, two trees of certified fp32 numbers in any two orders both add to the exact sum. [EX-2, TI-1, MG-8] *)
Theorem certified_sums_on_bits_agree : forall t s : tree (number F32),
  Forall (fun x => finite x = true) (leaves t) -> (Z.of_nat (length (leaves t)) <= 2 ^ 53)%Z ->
  Permutation (leaves t) (leaves s) -> certified (map Bits.value (leaves t)) ->
  Bits.value (machine_sum (map_tree widen t)) = sum_of Bits.value (leaves t) /\
  Bits.value (machine_sum (map_tree widen s)) = sum_of Bits.value (leaves t).
Proof. exact FloatsMachine.certified_machine_sums_agree. Qed.

(** Where the test on bits passes, the sums on bits are exact, those of v and those of magnitudes. [EX-2] *)
Theorem sums_that_pass_on_bits_are_exact : forall xs : list (number F32),
  Forall (fun x => finite x = true) xs -> (Z.of_nat (length xs) < 2 ^ 53)%Z -> machine_passes xs = true ->
  Bits.value (machine_running_sum (map widen xs)) = sum_of Bits.value xs /\
  Bits.value (machine_running_sum (map (fun x => b64_abs (widen x)) xs)) = sum_of (fun x => Rabs (Bits.value x)) xs.
Proof. exact FloatsMachine.machine_sums_that_pass_are_exact. Qed.

(** * The methods *)

(** Where v and the coefficients are certified, `algebra/ties.py` computes what the clauses define, in every tree: it
    elects by comparing S+ with -S-, and divides sums that are exact. [TI-7, TI-8] *)
Theorem ties_is_computed : forall t others,
  all_numbers F32 (map value (leaves t)) -> certified (map value (leaves t)) ->
  all_numbers F32 (map coefficient (leaves t) ++ others) -> certified (map coefficient (leaves t) ++ others) ->
  ties_by_sign t = ties (leaves t).
Proof. exact FloatsMethods.ties_by_sign_is_ties. Qed.

(** Where v is certified, `algebra/mean.py` computes what the clause defines, whatever the coefficients. [ME-1] *)
Theorem mean_is_computed : forall t others,
  all_numbers F32 (map value (leaves t)) -> certified (map value (leaves t)) ->
  mean_by_sign t (RN64 (sum (map coefficient (leaves t) ++ others))) = mean (leaves t) others.
Proof. exact FloatsMethods.mean_by_sign_is_mean. Qed.

(** Where v is certified, `algebra/task_arithmetic.py` computes what the clause defines. [TA-1] *)
Theorem task_arithmetic_is_computed : forall t,
  all_numbers F32 (map value (leaves t)) -> certified (map value (leaves t)) ->
  task_arithmetic_by_sign t = task_arithmetic (leaves t).
Proof. exact FloatsMethods.task_arithmetic_by_sign_is_task_arithmetic. Qed.

(** The fused kernels compute TIES-Merging as the clauses define it: from S and A, which give S+ and S- exactly, and
    from V and W, which are summed in fp64 or, for fewer than 2^24 equal coefficients, counted in fp32. [TI-7, TI-8]
    *)
Theorem kernels_compute_ties : forall votes others,
  all_numbers F32 (map value votes) -> certified (map value votes) ->
  all_numbers F32 (map coefficient votes ++ others) -> certified (map coefficient votes ++ others) ->
  Forall (fun x => 0 < coefficient x) votes ->
  forall d unit, held_in d unit (map coefficient votes ++ others) -> ties_of_kernel d unit votes = ties votes.
Proof. exact FloatsKernels.ties_of_kernel_is_ties. Qed.

(** The fused kernels compute the mean as the clause defines it, whatever the coefficients. [ME-1] *)
Theorem kernels_compute_the_mean : forall votes others,
  all_numbers F32 (map value votes) -> certified (map value votes) ->
  mean_of_kernel votes (RN64 (sum (map coefficient votes ++ others))) = mean votes others.
Proof. exact FloatsKernels.mean_of_kernel_is_mean. Qed.

(** The fused kernels compute task arithmetic as the clause defines it. [TA-1] *)
Theorem kernels_compute_task_arithmetic : forall votes,
  all_numbers F32 (map value votes) -> certified (map value votes) ->
  task_arithmetic_of_kernel votes = task_arithmetic votes.
Proof. exact FloatsKernels.task_arithmetic_of_kernel_is_task_arithmetic. Qed.

(** * Aggregates *)

(** An aggregate whose tests all passed holds the exact sums of the contributions that it is made of, whatever was
    combined with it and retracted from it, in whatever order; and they are certified. [EX-4, EX-5] *)
Theorem aggregates_are_exact : forall weighs h votes,
  holds weighs h votes -> stays_certified h ->
  column S_positive h = sum_of S_positive votes /\ column S_negative h = sum_of S_negative votes /\
  certified (map value votes).
Proof. exact FloatsAggregates.aggregates_are_exact. Qed.

(** Finalizing an aggregate whose tests all passed gives tau_m of TIES-Merging for the contributions that it is made
    of. [EX-4, EX-5, TI-7, TI-8] *)
Theorem aggregates_compute_ties : forall h votes,
  holds true h votes -> stays_certified h -> ties_of_aggregate h = ties votes.
Proof. exact FloatsAggregates.ties_of_aggregate_is_ties. Qed.

(** The mean and task arithmetic finalize RN64(S) of such an aggregate, whatever the coefficients. [EX-4, EX-5, ME-1,
    TA-1] *)
Theorem aggregates_compute_totals : forall weighs h votes,
  holds weighs h votes -> stays_certified h -> total_of_aggregate h = RN64 (sum_of value votes).
Proof. exact FloatsAggregates.total_of_aggregate_is_total. Qed.

(** Where a test fails, the sums so far turn into whole units of 2^-149 exactly. [EX-3, EX-4] *)
Theorem units_are_exact : forall n, has_format F64 (IZR n * 2^(-149)) -> RN64 (IZR n * 2^(-149) / 2^(-149)) = IZR n.
Proof. exact FloatsAggregates.units_are_exact. Qed.

(** Kept sums, from which contributions were taken and to which others were added, are tested at the end alone; the
    test asks the same of them as of the exact ones. [EX-2, EX-4, EX-5] *)
Theorem the_test_of_kept_sums_is_exact : forall g old retracted rest added,
  all_numbers F32 (map value (old ++ added)) -> Permutation old (retracted ++ rest) ->
  (1 <= g <= least_grid (map value old))%Z -> sum_of (magnitude value) old < limit g ->
  kept_passes g old retracted added <->
  sum_of (magnitude value) (rest ++ added) < limit (kept_grid g retracted added).
Proof. exact FloatsKernels.kept_test. Qed.

(** Kept sums that pass their test after an update are exact, and certified. [EX-4, EX-5] *)
Theorem kept_sums_are_exact : forall g old retracted rest added,
  all_numbers F32 (map value (old ++ added)) -> Permutation old (retracted ++ rest) ->
  (1 <= g <= least_grid (map value old))%Z -> sum_of (magnitude value) old < limit g ->
  kept_passes g old retracted added ->
  kept_sum F64 value old retracted added = sum_of value (rest ++ added) /\
  kept_sum F64 (magnitude value) old retracted added = sum_of (magnitude value) (rest ++ added) /\
  certified (map value (rest ++ added)).
Proof. exact FloatsKernels.kept_values. Qed.

(** What is asked of kept sums before an update holds after it, so one may follow another. [EX-4, EX-5] *)
Theorem kept_sums_can_be_kept : forall g old retracted rest added,
  all_numbers F32 (map value (old ++ added)) -> Permutation old (retracted ++ rest) ->
  (1 <= g <= least_grid (map value old))%Z -> sum_of (magnitude value) old < limit g ->
  kept_passes g old retracted added ->
  (1 <= kept_grid g retracted added <= least_grid (map value (rest ++ added)))%Z /\
  sum_of (magnitude value) (rest ++ added) < limit (kept_grid g retracted added).
Proof. exact FloatsKernels.kept_on. Qed.

(** Kept sums that pass their test finalize to tau_m of TIES-Merging for the contributions that are there now. [EX-4,
    EX-5, TI-7, TI-8] *)
Theorem kept_sums_compute_ties : forall g old retracted rest added,
  all_numbers F32 (map value (old ++ added)) -> Permutation old (retracted ++ rest) ->
  (1 <= g <= least_grid (map value old))%Z -> sum_of (magnitude value) old < limit g ->
  forall others d unit, kept_passes g old retracted added ->
  all_numbers F32 (map coefficient (old ++ added)) ->
  certified (map coefficient old) -> certified (map coefficient (rest ++ added) ++ others) ->
  Forall (fun x => 0 < coefficient x) (old ++ added) -> held_in d unit (map coefficient (old ++ added)) ->
  ties_of_kept d unit old retracted added = ties (rest ++ added).
Proof. exact FloatsKernels.ties_of_kept_is_ties. Qed.

(** The fused kernel subtracts by negating, adding and negating back, which is the same. [EX-5] *)
Theorem negating_is_subtracting : forall d f kept retracted added,
  updated_by_kernel d f kept retracted added = updated d f kept retracted added.
Proof. exact FloatsKernels.updated_by_kernel_is_updated. Qed.

(** * Products and roundings *)

(** The fp64 product of two fp32 numbers is exact, subnormal ones included. [MG-3, DT-1] *)
Theorem products_are_exact : forall x y, has_format F32 x -> has_format F32 y -> RN64 (x * y) = x * y.
Proof. exact FloatsRounding.product_is_exact. Qed.

(** The fp64 product of lambda and tau_m is zero only where one of them is. [MG-2] *)
Theorem products_do_not_underflow : forall x y,
  has_format F32 x -> has_format F32 y -> RN64 (x * y) = 0 <-> x = 0 \/ y = 0.
Proof. exact FloatsRounding.product_is_zero. Qed.

(** Contracting the product into the sum changes nothing: both are RN64 of the exact value. [MG-3] *)
Theorem contraction_is_harmless : forall base lambda32 tau_m, has_format F32 lambda32 -> has_format F32 tau_m ->
  applied base lambda32 tau_m = applied_contracted base lambda32 tau_m /\
  applied base lambda32 tau_m = RN64 (base + lambda32 * tau_m).
Proof. exact FloatsRounding.contraction_is_harmless. Qed.

(** A fused multiply-add gives the very bits of a product and a sum, the sign of a zero included. [MG-3, MG-4,
    DT-1] *)
Theorem contraction_gives_the_same_bits : forall (x y : number F32) (z : number F64),
  finite x = true -> finite y = true -> finite z = true ->
  Rabs (RN64 (Bits.value z + Bits.value x * Bits.value y)) < 2^1024 ->
  to_bits F64 (add64 z (multiply64 (widen x) (widen y))) = to_bits F64 (fused64 (widen x) (widen y) z).
Proof. exact FloatsMachine.contraction_gives_the_same_bits. Qed.

(** A sum of two fp64 numbers is rounded to zero only when it is zero: what underflows does so at RN32 or later.
    [MG-4] *)
Theorem sums_do_not_underflow : forall x y, has_format F64 x -> has_format F64 y -> RN64 (x + y) = 0 <-> x + y = 0.
Proof. exact FloatsRounding.sum_is_zero. Qed.

(** A sum of exactly 0 to which lambda * tau_m, not 0, was added is +0. [MG-4] *)
Theorem zero_sums_are_positive : forall z p : number F64,
  finite z = true -> finite p = true -> Bits.value p <> 0 -> Bits.value z + Bits.value p = 0 ->
  to_bits F64 (add64 z p) = 0%Z.
Proof. exact FloatsMachine.zero_sums_are_positive. Qed.

(** RN32(RN64(.)) never puts a greater number below a lesser one. [TI-8, ME-1, TA-1, MG-3] *)
Theorem roundings_are_monotone : forall x y, x <= y -> RN32 (RN64 x) <= RN32 (RN64 y).
Proof. exact FloatsRounding.chain_is_monotone. Qed.

(** RN32(RN64(.)) keeps fp32 numbers. [TI-8, ME-1, TA-1, MG-3] *)
Theorem roundings_keep_fp32 : forall x, has_format F32 x -> RN32 (RN64 x) = x.
Proof. exact FloatsRounding.chain_keeps_fp32. Qed.

(** RN32(RN64(.)) never turns a sign round, though it may give zero. [TI-8, MG-4] *)
Theorem roundings_keep_signs : forall x, (0 <= x -> 0 <= RN32 (RN64 x)) /\ (x <= 0 -> RN32 (RN64 x) <= 0).
Proof. exact FloatsRounding.chain_keeps_signs. Qed.

(** RN32(RN64(.)) is the same for both signs. [TI-8, ME-1, TA-1, MG-3] *)
Theorem roundings_are_odd : forall x, RN32 (RN64 (- x)) = - RN32 (RN64 x).
Proof. exact FloatsRounding.chain_is_odd. Qed.

(** tau_m of TIES-Merging has the elected sign or is zero, and is zero where nothing is elected. [TI-7, TI-8] *)
Theorem ties_has_the_elected_sign : forall votes, (forall x, In x votes -> 0 < coefficient x) ->
  (gamma votes = Gt -> 0 <= ties votes) /\ (gamma votes = Lt -> ties votes <= 0) /\ (gamma votes = Eq -> ties votes = 0).
Proof. exact FloatsRounding.ties_has_the_elected_sign. Qed.

(** With coefficients of 1, up to 2^29 of them, the rounded disjoint mean lies within any fp32 bounds of the v that
    agree, so between the least and the greatest of them. [TI-8] *)
Theorem ties_is_within_its_votes : forall votes low high,
  gamma votes <> Eq -> (Z.of_nat (length votes) <= 2 ^ 29)%Z -> has_format F32 low -> has_format F32 high ->
  (forall x, In x votes -> coefficient x = 1) ->
  (forall x, In x (having (gamma votes) votes) -> low <= value x <= high) ->
  low <= ties votes <= high.
Proof. exact FloatsRounding.ties_is_within. Qed.

(** The rounded mean with coefficients of 1 lies between the least and the greatest v, where every contribution holds
    the tensor. [ME-1] *)
Theorem mean_is_within_its_votes : forall votes low high,
  votes <> [] -> (Z.of_nat (length votes) <= 2 ^ 29)%Z -> has_format F32 low -> has_format F32 high ->
  (forall x, In x votes -> coefficient x = 1 /\ low <= value x <= high) ->
  low <= mean votes [] <= high.
Proof. exact FloatsRounding.mean_is_within. Qed.

(** One contribution, with coefficient and lambda 1, nothing trimmed, gives the fine-tune back wherever its difference
    from the base is an fp32 number, in every dtype and by every method. [TV-2, TI-8, ME-1, TA-1, MG-3] *)
Theorem one_contribution_gives_the_finetune_back : forall d base finetuned,
  has_format d finetuned -> has_format F32 (finetuned - base) ->
  let tau := RN32 (finetuned - base) in
  merged d base 1 (ties [(tau, 1)]) = finetuned /\
  merged d base 1 (mean [(tau, 1)] []) = finetuned /\
  merged d base 1 (task_arithmetic [(tau, 1)]) = finetuned.
Proof. exact FloatsRounding.one_contribution_gives_it_back. Qed.

(** The difference of two F32, BF16 or F16 numbers is an fp32 number wherever the fine-tune lies between half the base
    and twice the base. [TV-2] *)
Theorem close_differences_are_exact : forall d base finetuned, d <> F64 ->
  has_format d base -> has_format d finetuned -> base / 2 <= finetuned <= 2 * base -> has_format F32 (finetuned - base).
Proof. exact FloatsRounding.close_differences_are_exact. Qed.

(** * What is always exact *)

(** n fp32 numbers with magnitudes in [2^a, 2^b), zeros apart, are certified when n * 2^(b - a) <= 2^30. [EX-2] *)
Theorem fp32_within_binades_are_certified : forall vs a b,
  Forall (between a b) vs -> INR (length vs) * 2^(b - a) <= 2^30 -> certified vs.
Proof. exact FloatsRanges.fp32_binades. Qed.

(** Up to 8,196 fp16 numbers add exactly in every tree, certified or not. [EX-1, EX-2] *)
Theorem fp16_sums_are_exact : forall t s,
  all_numbers F16 (leaves t) -> (Z.of_nat (length (leaves t)) <= 8196)%Z -> part_of s t -> sum64 id s = sum (leaves s).
Proof. exact FloatsRanges.fp16_sums_are_exact. Qed.

(** Up to 4,098 differences of fp16 numbers, each rounded to fp32, add exactly in every tree, certified or not. [TV-2,
    EX-1, EX-2] *)
Theorem fp16_differences_are_exact : forall (t : tree (R * R)) s,
  (forall x y, In (x, y) (leaves t) -> is_number F16 x /\ is_number F16 y) ->
  (Z.of_nat (length (leaves t)) <= 4098)%Z -> part_of s t ->
  let tau p := RN32 (fst p - snd p) in sum64 tau s = sum_of tau (leaves s).
Proof. exact FloatsRanges.fp16_differences_are_exact. Qed.

(** n bf16 numbers with magnitudes in [2^a, 2^b), zeros apart, add exactly in every tree when n * 2^(b - a) <= 2^46,
    certified or not. [EX-1, EX-2] *)
Theorem bf16_within_binades_are_exact : forall t s a b,
  all_numbers BF16 (leaves t) -> Forall (between a b) (leaves t) ->
  INR (length (leaves t)) * 2^(b - a) <= 2^46 -> part_of s t -> sum64 id s = sum (leaves s).
Proof. exact FloatsRanges.bf16_binades. Qed.
