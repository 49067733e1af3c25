(** What is claimed of the reducer, the function that the oracle runs. The words are those of definitions/Bits.v,
    Rounding.v, Reducer.v and ReducerModel.v; the exact model is that of Trim.v, Ties.v and Counting.v. *)

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

(** What is read of a contribution (tau, theta, bits) is read at every element of a tensor that it holds from the base's
    bits and its own, and the others are absent. [TV-2, TV-5, TV-13, MG-14, CT-7] *)
Theorem elements_stand_where_the_base_has_them : forall A (absent : A) read b c k t h,
  nth_error b k = Some t -> nth_error (held c) k = Some h ->
  nth_error (read_all absent read b c) k = Some (read_tensor absent read (kind c) t h)
  /\ forall i x, nth_error (snd t) i = Some x ->
     nth_error (read_tensor absent read (kind c) t None) i = Some absent
     /\ forall u y, nth_error (snd u) i = Some y ->
        nth_error (read_tensor absent read (kind c) t (Some u)) i = Some (read (kind c) (fst t) x (fst u) y).
Proof. exact @ReducerClaims.elements_stand_where_the_base_has_them. Qed.

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

(** theta of a fine-tune is RN32 of its number, as of a stored task vector; theta of a task vector is RN32(RN64(base +
    tau)). [TV-13] *)
Theorem theta_is_the_rounded_model : forall d x e y,
  theta Finetuned d x e y = stored e y
  /\ forall n, theta TaskVector d x e y = Tau n -> exists m, stored e y = Tau m /\ finite (of_bits d x) = true
     /\ real n = RN F32 (RN F64 (value (of_bits d x) + real m)).
Proof. exact ReducerClaims.theta_is_the_rounded_model. Qed.

(** Trim is that of the exact model, over the elements that the contribution holds, in canonical order, as one group or
    tensor by tensor; absent elements take no part. [TI-2, TI-3, TI-4, TI-5] *)
Theorem trim_is_that_of_the_model : forall rule num den es,
  present (relabel (concat es) (trimmed (TIES rule num den Model) es))
    = Trim.trim_group rule num den (present (concat es))
  /\ trimmed (TIES rule num den Tensor) es = concat (map (fun e => trimmed (TIES rule num den Model) [e]) es).
Proof. exact ReducerTaus.trimmed_is_trim. Qed.

(** RAM takes what is larger than RN32(10^-5), and 0 elsewhere. [RA-1] *)
Theorem ram_takes_changes :
  real no_change = RN F32 (1 / IZR 100000)
  /\ forall es, trimmed RAM es
     = map (fun e => match e with Tau n => if no_change <? Z.abs n then n else 0 | _ => 0 end) (concat es).
Proof. exact (conj ReducerTaus.no_change_is_rounded ReducerTaus.ram_takes_changes). Qed.

(** The other methods drop nothing, and what is absent counts as zero. [ME-1, TA-1, LI-1, NM-1] *)
Theorem other_methods_keep_all : forall m es, (forall rule num den group, m <> TIES rule num den group) -> m <> RAM ->
  trimmed m es = map (fun e => match e with Tau n => n | _ => 0 end) (concat es).
Proof. exact ReducerTaus.untrimmed. Qed.

(** ** A coordinate *)

(** v is RN32 of the exact product of coefficient and tau, and 0 for what is dropped or absent; the coefficient counts
    beside it, but for what is absent where only those count that hold the tensor. [TI-6, ME-1, TA-2, LI-1, NM-1, NM-2,
    RA-1] *)
Theorem votes_are_rounded_products : forall r tensors kept i c, reduce r = Merged tensors kept ->
  (i < length (coordinates (base r)))%nat -> In c (contributions r) ->
  exists v, scaled (weight_at r i c) (tau_at r i c) = (Some v, weight_at r i c)
    /\ real (coefficient_of c) = value (of_bits F32 (coefficient_bits c))
    /\ real v = RN F32 (real (coefficient_of c) * real (tau_at r i c))
    /\ weight_at r i c = match how r, element_at r i c with
                         | Linear, Absent | NegMerge, Absent => 0
                         | _, _ => coefficient_of c
                         end
    /\ In (v, weight_at r i c) (votes_at r i).
Proof. exact ReducerClaims.votes_are_rounded_products. Qed.

(** The output's bits are those of the exact model, rounded where the clauses say and nowhere else: where tau_m =
    RN32(RN64(RN64 S / RN64 W)) (of task arithmetic RN32(RN64 S)) or lambda is 0 they are the base's bits, elsewhere
    those of the value and the sign of base + lambda * tau_m, rounded to the base's dtype. [TI-7, TI-8, ME-1, TA-1,
    NM-2, RA-2, MG-2, MG-3, MG-4] *)
Theorem bits_are_the_exact_model_rounded : forall r tensors kept i d b,
  reduce r = Merged tensors kept -> Z.of_nat (length (contributions r)) <= 2 ^ 800 ->
  on_theta (how r) = false -> nth_error (coordinates (base r)) i = Some (d, b) ->
  let out := nth i (concat tensors) 0 in
  let t := tau_m_R (how r) (votes_at r i) in
  let lambda := value (of_bits F32 (lambda_bits r)) in
  let x := (value (of_bits d b) + lambda * t)%R in
  ((t = 0 \/ lambda = 0)%R -> out = b)
  /\ ((t <> 0 /\ lambda <> 0)%R ->
      are_bits d out /\ finite (of_bits d b) = true /\ finite (of_bits d out) = true
      /\ value (of_bits d out) = narrow_R d x /\ sign (of_bits d out) = Rlt_bool x 0).
Proof. exact ReducerClaims.bits_are_the_exact_model_rounded. Qed.

(** Of a method on theta they are those of theta_m = RN32(RN64(RN64 S / RN64 W)), rounded to the base's dtype, where none
    are copied. [LI-1, MG-13, MG-14] *)
Theorem models_are_the_exact_mean_rounded : forall r tensors kept i d b,
  reduce r = Merged tensors kept -> Z.of_nat (length (contributions r)) <= 2 ^ 800 ->
  on_theta (how r) = true -> nth_error (coordinates (base r)) i = Some (d, b) ->
  let t := tau_m_R (how r) (votes_at r i) in
  exists merged, nth i (concat tensors) 0 = copied (b, merged) (owns_at r i)
    /\ are_bits d merged /\ finite (of_bits d merged) = true
    /\ value (of_bits d merged) = RN d t /\ sign (of_bits d merged) = Rlt_bool t 0.
Proof. exact ReducerClaims.models_are_the_exact_mean_rounded. Qed.

(** The base's bits are copied where no model holds the tensor, and the models' own where all that do have the same;
    elsewhere, and where those of one are not known, nothing is copied. [LI-1, LI-2, MG-14] *)
Theorem what_models_agree_on_is_copied : forall b merged column,
  ((forall o, In o column -> o = NotHeld) -> copied (b, merged) column = b)
  /\ (forall x, In (Known x) column -> (forall o, In o column -> o = NotHeld \/ o = Known x) ->
      copied (b, merged) column = x)
  /\ (In NotKnown column \/ (exists x y, x <> y /\ In (Known x) column /\ In (Known y) column) ->
      copied (b, merged) column = merged).
Proof. exact ReducerClaims.what_models_agree_on_is_copied. Qed.

(** S and W come from the aggregate: lifted, combined and finalized sums are those of the clauses. [EX-4, TI-7, TI-8] *)
Theorem sums_come_from_the_aggregate : forall rule num den group votes,
  Ties.finalize (Ties.aggregate_of votes) = exact_sums (TIES rule num den group) votes.
Proof. exact ReducerClaims.sums_come_from_the_aggregate. Qed.

(** Where every contribution is absent, trimmed or unchanged, the base's bits are copied. [MG-2] *)
Theorem nothing_votes_nothing_moves : forall r tensors kept i d b,
  reduce r = Merged tensors kept -> Z.of_nat (length (contributions r)) <= 2 ^ 800 ->
  on_theta (how r) = false -> nth_error (coordinates (base r)) i = Some (d, b) ->
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
    result; all task vectors are finite then. [TI-6, TA-2, MG-5, MG-6, MG-13] *)
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
           /\ let (d, b) := nth i (coordinates (base r)) (F32, 0) in result (how r) l t d b = inr InResult
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

(** So do the others: 4, 1, 0 and 0, 3, 10^-5 have the mean 2, 2, 10^-5 / 2; NegMerge takes away what has one sign in
    both; RAM divides by those who changed an element, and 10^-5 is no change. [LI-1, NM-2, RA-1, RA-2] *)
Theorem it_counts :
  let rows := [[0x40800000; 0x3f800000; 0x80000000]; [0; 0x40400000; 0x3727c5ac]] in
  reduce (small Linear rows) = Merged [[0x40000000; 0x40000000; 0x36a7c5ac]] [3; 3]
  /\ reduce (small NegMerge rows) = Merged [[0; 0xc0000000; 0]] [3; 3]
  /\ reduce (small RAM rows) = Merged [[0x40800000; 0x40000000; 0]] [3; 3].
Proof. exact ReducerClaims.counting_examples. Qed.
