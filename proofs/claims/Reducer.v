(** What is claimed of the reducer, the function that the oracle runs. The words are those of definitions/Bits.v,
    Rounding.v, Reducer.v and ReducerModel.v; the exact model is that of Trim.v and Ties.v. *)

From Coq Require Import ZArith Reals List Bool Permutation Lia.
From Flocq Require Import Core.Core IEEE754.Binary.
From MergeAlgebra.Definitions Require Import Bits Rounding Reducer ReducerModel.
From MergeAlgebra.Definitions Require Trim Ties.
From MergeAlgebra.Lemmas Require RoundingLaws RoundingNearest ReducerTaus ReducerCoordinate ReducerWhole ReducerOrder
  ReducerClaims.
Import ListNotations.
Open Scope Z_scope.

(** ** Bits *)

(** Bits of every dtype, NaN and -0 among them, are decoded and encoded again without loss. [EN-12, MG-2] *)
Theorem bits_come_back : forall d,
  (forall bits, are_bits d bits -> to_bits d (of_bits d bits) = bits)
  /\ (forall x : number d, are_bits d (to_bits d x) /\ of_bits d (to_bits d x) = x).
Proof. exact ReducerClaims.bits_come_back. Qed.

(** A finite number is its value and its sign: two with the same have the same bits. [MG-4] *)
Theorem bits_are_value_and_sign : forall d (x y : number d),
  finite x = true -> finite y = true -> value x = value y -> sign x = sign y -> to_bits d x = to_bits d y.
Proof. exact ReducerClaims.bits_are_value_and_sign. Qed.

(** Every finite fp32 number is a whole number of units of 2^-149, which is how the exact model has it. [EX-1] *)
Theorem fp32_is_on_the_grid : forall x : number F32,
  (finite x = true <-> exists n, numerator x = Some n)
  /\ (forall n, numerator x = Some n -> value x = (IZR n * bpow radix2 (-149))%R).
Proof. exact ReducerClaims.fp32_is_on_the_grid. Qed.

(** ** Rounding *)

(** RN gives a number of the dtype (with no upper end), none is nearer, and it is Flocq's rounding to nearest with ties
    to even. [TV-2, MG-3] *)
Theorem RN_is_to_nearest_even : forall d x,
  RN d x = round radix2 (FLT_exp (3 - most_exponent d - precision d) (precision d)) ZnearestE x
  /\ generic_format radix2 (FLT_exp (3 - most_exponent d - precision d) (precision d)) (RN d x)
  /\ forall y : number d, (Rabs (RN d x - x) <= Rabs (value y - x))%R.
Proof. exact RoundingNearest.RN_is_to_nearest_even. Qed.

(** An exact dyadic is rounded to the number whose value is RN of it, and keeps its sign even when it underflows; 0 is
    +0; what RN puts beyond the dtype is not finite. [MG-3, MG-4, MG-5] *)
Theorem rounding_is_RN : forall d (x : dyadic),
  (finite (round_to d x) = true <-> (Rabs (RN d (F2R x)) < bpow radix2 (most_exponent d))%R)
  /\ (finite (round_to d x) = true ->
      value (round_to d x) = RN d (F2R x) /\ sign (round_to d x) = Rlt_bool (F2R x) 0).
Proof. exact ReducerClaims.rounding_is_RN. Qed.

(** The last roundings are RN64, then RN32, then that of a narrower dtype, one after the other. [MG-3, MG-4] *)
Theorem results_are_rounded_in_steps : forall d (x : dyadic), finite (narrow d x) = true ->
  value (narrow d x) = narrow_R d (F2R x) /\ sign (narrow d x) = Rlt_bool (F2R x) 0.
Proof. exact RoundingLaws.narrow_value. Qed.

(** ** Task vectors *)

(** A contribution has at every element of a tensor that it holds the tau of the base's bits and its own, and at the
    others none. [TV-2, TV-5, CT-7] *)
Theorem elements_stand_where_the_base_has_them : forall b c k t h,
  nth_error b k = Some t -> nth_error (held c) k = Some h ->
  nth_error (elements b c) k = Some (elements_of (kind c) t h)
  /\ forall i x, nth_error (snd t) i = Some x ->
     (forall form, nth_error (elements_of form t None) i = Some Absent)
     /\ forall u y, nth_error (snd u) i = Some y ->
        nth_error (elements_of Finetuned t (Some u)) i = Some (difference (fst t) x (fst u) y)
        /\ nth_error (elements_of TaskVector t (Some u)) i = Some (stored (fst u) y).
Proof. exact ReducerClaims.elements_stand_where_the_base_has_them. Qed.

(** Equal dtype and bits, or equal infinities, give a tau of 0. [TV-3] *)
Theorem unchanged_is_zero : forall d x e y,
  (d = e /\ x = y) \/ (finite (of_bits d x) = false /\ finite (of_bits e y) = false
    /\ is_nan _ _ (of_bits d x) = false /\ is_nan _ _ (of_bits e y) = false
    /\ sign (of_bits d x) = sign (of_bits e y)) ->
  difference d x e y = Tau 0.
Proof. exact ReducerClaims.unchanged_is_zero. Qed.

(** Elsewhere tau is RN32 of the exact difference, by way of RN64 when either side is F64; a NaN or an infinity on
    either side has none. [TV-2, TV-4] *)
Theorem tau_is_the_rounded_difference : forall d x e y n, unchanged d x e y = false -> difference d x e y = Tau n ->
  finite (of_bits d x) = true /\ finite (of_bits e y) = true
  /\ real n = if dtype_eqb d F64 || dtype_eqb e F64
              then RN F32 (RN F64 (value (of_bits e y) - value (of_bits d x)))
              else RN F32 (value (of_bits e y) - value (of_bits d x)).
Proof. exact ReducerTaus.difference_value. Qed.

(** An element of a stored task vector is RN32 of itself. [TV-5] *)
Theorem stored_tau_is_rounded : forall e y n, stored e y = Tau n ->
  finite (of_bits e y) = true /\ real n = RN F32 (value (of_bits e y)).
Proof. exact ReducerTaus.stored_value. Qed.

(** Trim is that of the exact model, over the elements that the contribution holds, in canonical order, as one group or
    tensor by tensor; absent elements take no part. [TI-2, TI-3, TI-4, TI-5] *)
Theorem trim_is_that_of_the_model : forall rule num den es,
  present (relabel (concat es) (trimmed (TIES rule num den Model) es))
    = Trim.trim_group rule num den (present (concat es))
  /\ trimmed (TIES rule num den Tensor) es = concat (map (fun e => trimmed (TIES rule num den Model) [e]) es).
Proof. exact ReducerTaus.trimmed_is_trim. Qed.

(** The mean and task arithmetic drop nothing, and what is absent counts as zero. [ME-1, TA-1] *)
Theorem other_methods_keep_all : forall m es, m = Mean \/ m = TaskArithmetic ->
  trimmed m es = map (fun e => match e with Tau n => n | _ => 0 end) (concat es).
Proof. exact ReducerTaus.untrimmed. Qed.

(** ** A coordinate *)

(** v is RN32 of the exact product of coefficient and tau, and 0 for what is dropped or absent. [TI-6, ME-1] *)
Theorem votes_are_rounded_products : forall r tensors kept i c, reduce r = Merged tensors kept ->
  (i < length (coordinates (base r)))%nat -> In c (contributions r) ->
  exists v, scaled (coefficient_of c) (tau_at r i c) = (Some v, coefficient_of c)
    /\ real (coefficient_of c) = value (of_bits F32 (coefficient_bits c))
    /\ real v = RN F32 (real (coefficient_of c) * real (tau_at r i c))
    /\ In (v, coefficient_of c) (votes_at r i).
Proof. exact ReducerClaims.votes_are_rounded_products. Qed.

(** The output's bits are those of the exact model, rounded where the clauses say and nowhere else: where tau_m =
    RN32(RN64(RN64 S / RN64 W)) (of task arithmetic RN32(RN64 S)) or lambda is 0 they are the base's bits, elsewhere
    those of the value and the sign of base + lambda * tau_m, rounded to the base's dtype. [TI-7, TI-8, ME-1, TA-1,
    MG-2, MG-3, MG-4] *)
Theorem bits_are_the_exact_model_rounded : forall r tensors kept i d b,
  reduce r = Merged tensors kept -> Z.of_nat (length (contributions r)) <= 2 ^ 800 ->
  nth_error (coordinates (base r)) i = Some (d, b) ->
  let out := nth i (concat tensors) 0 in
  let t := tau_m_R (how r) (votes_at r i) in
  let lambda := value (of_bits F32 (lambda_bits r)) in
  let x := (value (of_bits d b) + lambda * t)%R in
  ((t = 0 \/ lambda = 0)%R -> out = b)
  /\ ((t <> 0 /\ lambda <> 0)%R ->
      are_bits d out /\ finite (of_bits d b) = true /\ finite (of_bits d out) = true
      /\ value (of_bits d out) = narrow_R d x /\ sign (of_bits d out) = Rlt_bool x 0).
Proof. exact ReducerClaims.bits_are_the_exact_model_rounded. Qed.

(** S and W come from the aggregate: lifted, combined and finalized sums are those of the clauses. [EX-4, TI-7, TI-8] *)
Theorem sums_come_from_the_aggregate : forall rule num den group votes,
  Ties.finalize (Ties.aggregate_of votes) = exact_sums (TIES rule num den group) votes.
Proof. exact ReducerClaims.sums_come_from_the_aggregate. Qed.

(** Where every contribution is absent, trimmed or unchanged, the base's bits are copied. [MG-2] *)
Theorem nothing_votes_nothing_moves : forall r tensors kept i d b,
  reduce r = Merged tensors kept -> Z.of_nat (length (contributions r)) <= 2 ^ 800 ->
  nth_error (coordinates (base r)) i = Some (d, b) ->
  (forall c, In c (contributions r) -> tau_at r i c = 0) -> nth i (concat tensors) 0 = b.
Proof. exact ReducerClaims.nothing_votes_nothing_moves. Qed.

(** ** Order and errors *)

(** The order of the contributions changes no bit, and neither which coordinate is in error and why. [TI-1, MG-6,
    MG-8] *)
Theorem order_changes_nothing : forall r cs, Permutation (contributions r) cs ->
  unplaced (reduce r) = unplaced (reduce (Request (how r) (lambda_bits r) (base r) cs)).
Proof. exact ReducerOrder.reduce_permutation. Qed.

(** An error in a task vector is named before any other: at the first coordinate that has one, of the first contribution
    there. [TV-4, MG-6] *)
Theorem errors_of_task_vectors_come_first : forall r position place,
  reduce r = NotFiniteAt position (InTau place) ->
  exists i j, position = Z.of_nat i /\ place = Z.of_nat j
    /\ nth_error (elements_at r i) j = Some NotFinite
    /\ (forall k e, (k < j)%nat -> nth_error (elements_at r i) k = Some e -> e <> NotFinite)
    /\ forall k, (k < i)%nat -> ~ In NotFinite (elements_at r k).
Proof. exact ReducerClaims.errors_of_task_vectors_come_first. Qed.

(** Any other error is named at the first coordinate that has one, and there v comes before tau_m, and tau_m before the
    result; all task vectors are finite then. [TI-6, TA-2, MG-5, MG-6] *)
Theorem the_first_error_is_named : forall r position what,
  reduce r = NotFiniteAt position what -> (forall place, what <> InTau place) ->
  exists l i, position = Z.of_nat i /\ numerator (of_bits F32 (lambda_bits r)) = Some l
    /\ (forall k, (k < length (coordinates (base r)))%nat -> ~ In NotFinite (elements_at r k))
    /\ (forall k, (k < i)%nat -> exists bits,
          coordinate (how r) l (nth k (coordinates (base r)) (F32, 0)) (column_at r k) = inl bits)
    /\ match what with
       | InTau _ => False
       | InV place => exists j c, place = Z.of_nat j /\ nth_error (column_at r i) j = Some (None, c)
           /\ forall k, (k < j)%nat -> exists v c', nth_error (column_at r i) k = Some (Some v, c')
       | InTauM => (forall x, In x (column_at r i) -> fst x <> None)
           /\ finite (tau_m (how r) (votes_at r i)) = false
       | InResult => (forall x, In x (column_at r i) -> fst x <> None)
           /\ exists t, numerator (tau_m (how r) (votes_at r i)) = Some t
           /\ apply l t (fst (nth i (coordinates (base r)) (F32, 0))) (snd (nth i (coordinates (base r)) (F32, 0)))
              = inr InResult
       end.
Proof. exact ReducerClaims.the_first_error_is_named. Qed.

(** ** Examples *)

(** It merges: 2^24, 1, 1, -2^24 and -1 elect + and give (2^24 + 2) / 3, and the paper's example comes out, two of five
    elements kept. [TI-3, TI-4, TI-7, TI-8] *)
Theorem it_merges :
  reduce (small (TIES Trim.KeepAll 1 1 Model)
            [[0x4b800000]; [0x3f800000]; [0x3f800000]; [0xcb800000]; [0xbf800000]])
    = Merged [[0x4aaaaaac]] [1; 1; 1; 1; 1]
  /\ reduce (small (TIES Trim.KeepAll 2 5 Model)
       [[0xc0000000; 0; 0x3f800000; 0; 0xbf800000]; [0xbf800000; 0x3f800000; 0xc0000000; 0; 0xbf800000];
        [0x3f800000; 0xc0000000; 0x40000000; 0x3f800000; 0x40400000]])
    = Merged [[0xbfc00000; 0xc0000000; 0x3fc00000; 0; 0x40400000]] [3; 4; 3].
Proof. exact ReducerClaims.examples. Qed.
